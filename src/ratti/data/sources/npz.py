"""Arrays in an `.npz` file: `x_train, y_train, x_test, y_test` (or `x, y`, split here) and, optionally, `class_names`.

uint8 arrays (N, H, W) or (N, H, W, 1 or 3) are images. Others are signals: (N, T), (N, T, C) or (N, H, W, C), as a
sensor gives them: whole numbers in int16, or real ones, which are scaled by a power of two until they are; the report
says by which. `rate_hz` is needed for spectrograms of them. `numbers` or `rr` (with `_train` and `_test`), (N,) or
(N, K), stand beside the samples. Groups come from `groups`, `patient`, `speaker` or `subject` (with `_train` and
`_test`). Pickles are refused.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...features import FrontEnd, Window
from ...types import Array
from .. import camera, images, raw
from ..dataset import Dataset, Kind, LoadReport, Part
from ..options import Options
from ..split import cut_by_group, own_groups

FORMS = "an .npz file with x_train, y_train, x_test, y_test (or x, y)"
NUMBER_KEYS = ("numbers", "rr")
GROUP_KEYS = ("groups", "group", "patient", "speaker", "subject")


def accepts(source: str) -> bool:
    return source.lower().endswith(".npz") and Path(source).is_file()


def load(source: str, options: Options) -> Dataset:
    arrays = _read(source)
    whole = "x" in arrays and "x_train" not in arrays
    names = ("",) if whole else ("_train", "_test")
    missing = [key + name for name in names for key in ("x", "y") if key + name not in arrays]
    if missing:
        raise DataError(f"{source}: no {', '.join(missing)}; it has {', '.join(sorted(arrays)) or 'nothing'}; "
                        f"x_train, y_train, x_test, y_test or x, y are needed")
    xs = {name: _samples(source, "x" + name, arrays["x" + name]) for name in names}
    class_names, labels = _labels(source, arrays, names)
    kind = Kind.IMAGE if all(is_image for _, is_image in xs.values()) else Kind.SIGNAL
    notes: list[str] = []
    front_end: FrontEnd | None = None
    made: list[tuple[Array, Array | None]]
    if kind is Kind.IMAGE:
        front_end, pictures = _pictures(source, [x for x, _ in xs.values()], options)
        made = [(x, None) for x in pictures]
    else:
        front_end, made = signals(source, [x for x, _ in xs.values()], _rate(source, arrays), options, notes)
    parts = {name: _part(source, name, x, samples, labels[name], arrays)
             for name, (x, samples) in zip(names, made, strict=True)}
    known = {"class_names", "rate_hz", *(k + n for n in names for k in ("x", "y", *GROUP_KEYS, *NUMBER_KEYS))}
    ignored = sorted(set(arrays) - known)
    notes += [f"not used: {', '.join(ignored)}"] if ignored else []
    if whole:
        mask = cut_by_group(parts[""].y, parts[""].groups, options.test_share, 0)
        rest, test = parts[""].take(~mask), parts[""].take(mask)
        notes.append(f"no test part: {mask.sum()} of {len(mask)} samples were set aside as the test part")
    else:
        rest, test = parts["_train"], parts["_test"]
    strange = sorted(set(test.y.tolist()) - set(rest.y.tolist()))
    if strange:
        raise DataError(f"{source}: class {', '.join(class_names[c] for c in strange)} is in test but not in train")
    val = cut_by_group(rest.y, rest.groups, options.val_share, options.seed)
    report = LoadReport(source, (), tuple(notes))
    return Dataset.sealed(Path(source).stem, kind, class_names, (rest.take(~val), rest.take(val), test), report,
                          front_end=front_end)


def signals(source: str, xs: Sequence[Array], rate_hz: int | None, options: Options,
            notes: list[str]) -> tuple[FrontEnd, list[tuple[Array, Array | None]]]:
    """(the front end, (features, samples) of each part): parts (N, H, W, C) of any numbers, the first to train on."""
    shapes = {x.shape[1:] for x in xs}
    if len(shapes) > 1:
        raise DataError(f"{source}: samples of shape {' and '.join(map(str, sorted(shapes)))}; bring all to one")
    whole, unit = raw.whole(xs, 1)
    if unit:
        notes.append(f"1.0 is {2.0**unit:g} in the int16 samples: scale what the sensor gives like that")
    front_end = raw.chosen(options, Window(xs[0].shape[1:], rate_hz))
    if front_end.name != "signal":
        notes.append(f"front end {front_end.name}: {front_end.output_shape} from {xs[0].shape[1:]}")
    return front_end, [raw.features(front_end, x.reshape(len(x), -1)) for x in whole]


def _rate(source: str, arrays: Mapping[str, Array]) -> int | None:
    if "rate_hz" not in arrays:
        return None
    rate = arrays["rate_hz"]
    if rate.size != 1 or rate.dtype.kind not in "iuf" or not 1 <= float(rate.ravel()[0]) <= 1e6:
        raise DataError(f"{source}: rate_hz is {rate}; one number of samples a second is needed")
    return round(float(rate.ravel()[0]))


def _read(source: str) -> Mapping[str, Array]:
    try:
        with Path(source).open("rb") as stream:  # numpy leaves a file open where its content is bad
            file = np.load(stream, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{source}: one array without a name; save x_train, y_train, ... with numpy.savez")
            return {key: file[key] for key in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        why = "it holds Python objects" if "pickle" in str(error) else "not an .npz file, or damaged"
        raise DataError(f"{source}: {why}; save numbers with numpy.savez") from None


def _samples(source: str, key: str, x: Array) -> tuple[Array, bool]:
    """(x as (N, H, W, C), whether it is images)."""
    if x.dtype.kind not in "iuf":
        raise DataError(f"{source}: {key} has elements of type {x.dtype}; integers or floats are needed")
    if x.ndim < 2 or x.ndim > 4 or 0 in x.shape:
        raise DataError(f"{source}: {key} has shape {x.shape}; (N, T), (N, T, C), (N, H, W) or (N, H, W, C) is needed")
    if x.dtype == np.uint8 and (x.ndim == 3 or (x.ndim == 4 and x.shape[3] in (1, 3))):
        return (x[..., None] if x.ndim == 3 else x), True
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise DataError(f"{source}: {key} holds values that are not finite")
    if x.ndim == 4:
        return x, False
    return x.reshape(x.shape[0], x.shape[1], 1, x.shape[2] if x.ndim == 3 else 1), False


def _pictures(source: str, xs: Sequence[Array], options: Options) -> tuple[FrontEnd | None, list[Array]]:
    """(the front end of a camera, where one is asked for; the pictures of each part in the size of the net)."""
    if options.channels not in (None, 1, 3):
        raise DataError(f"{source}: pictures cannot have {options.channels} channels; 1 (gray) or 3 (RGB) are possible")
    _, height, width, depth = xs[0].shape
    side = options.resolution
    front = camera.chosen(options, options.size or ((side, side) if side else (height, width)), (height, width))
    if front is None:
        return None, [images.resize(x, options.size or x.shape[1:3], options.channels or depth) for x in xs]
    frames = (images.resize(x, (front.height, front.width), camera.channels(front)) for x in xs)
    return front, [camera.pictures(front, x) for x in frames]


def _labels(source: str, arrays: Mapping[str, Array], names: tuple[str, ...]) -> tuple[list[str], dict[str, Array]]:
    """(class names, labels from 0 of each part)."""
    raw = {name: arrays["y" + name] for name in names}
    for name, y in raw.items():
        if y.ndim != 1 or len(y) != len(arrays["x" + name]):
            n = len(arrays["x" + name])
            raise DataError(f"{source}: y{name} has shape {y.shape}; ({n},) is needed, one label a sample")
        if y.dtype.kind not in "iuU":
            raise DataError(f"{source}: y{name} has elements of type {y.dtype}; integers or strings are needed")
    given = [str(n) for n in np.ravel(arrays["class_names"])] if "class_names" in arrays else []
    if any(y.dtype.kind == "U" for y in raw.values()):
        values = sorted({str(v) for y in raw.values() for v in y})
        class_names = given or values
        unknown = sorted(set(values) - set(class_names))
        if unknown:
            raise DataError(f"{source}: label '{unknown[0]}' is not in class_names")
        return class_names, {n: np.array([class_names.index(str(v)) for v in y], np.int64) for n, y in raw.items()}
    low, high = min(int(y.min()) for y in raw.values()), max(int(y.max()) for y in raw.values())
    class_names = given or [str(c) for c in range(high + 1)]
    if low < 0 or high >= len(class_names):
        allowed = f"{len(class_names)} classes allow 0 to {len(class_names) - 1}"
        raise DataError(f"{source}: labels {low} to {high}; {allowed}")
    return class_names, {n: y.astype(np.int64) for n, y in raw.items()}


def _part(source: str, name: str, x: Array, samples: Array | None, y: Array, arrays: Mapping[str, Array]) -> Part:
    numbers = _numbers(source, name, len(x), arrays)
    key = next((k + name for k in GROUP_KEYS if k + name in arrays), None)
    if key is None:
        return Part(x, y, own_groups(len(x), f"sample{name}"), numbers, samples)
    groups = arrays[key]
    if groups.shape != (len(x),):
        raise DataError(f"{source}: {key} has shape {groups.shape}; ({len(x)},) is needed, one group a sample")
    return Part(x, y, groups.astype(np.str_), numbers, samples)


def _numbers(source: str, name: str, samples: int, arrays: Mapping[str, Array]) -> Array | None:
    key = next((k + name for k in NUMBER_KEYS if k + name in arrays), None)
    if key is None:
        return None
    numbers = arrays[key].reshape(-1, 1) if arrays[key].ndim == 1 else arrays[key]
    if numbers.ndim != 2 or len(numbers) != samples or numbers.dtype.kind not in "iuf":
        raise DataError(f"{source}: {key} is {numbers.dtype} of shape {numbers.shape}; numbers of shape "
                        f"({samples}, K) are needed, a row a sample")
    if not np.isfinite(numbers).all():
        raise DataError(f"{source}: {key} holds values that are not finite")
    return numbers.astype(np.float32)
