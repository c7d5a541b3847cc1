"""A folder of recordings: `train/<word>/*.wav` and `test/<word>/*.wav`, or `<word>/*.wav` alone, which is split here.

Recordings become log-mel spectrograms by the integer front end that ships in the firmware (`features.log_mel`), or what
another front end makes of them. A longer recording gives its middle, a shorter one has silence around it. Who speaks is
the file's name up to its last `_` (as in `george_12.wav`), or what `groups.csv` says. With `hold_out` the recordings of
that speaker are the test part, wherever they lie, and no other recording is.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import DataError, InputError
from ...features import Window
from ...types import Array
from .. import cache, raw
from ..dataset import BadFile, Dataset, Kind, LoadReport, Part
from ..options import Options
from ..split import cut_by_group, own_groups
from ._folders import classes, files_of, groups_of

FORMS = "a folder with train/<word>/ and test/<word>/ (or <word>/ alone) of .wav files"
SUFFIXES = frozenset({".wav"})


def accepts(source: str) -> bool:
    root = Path(source)
    return root.is_dir() and next((p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES), None) is not None


def load(source: str, options: Options) -> Dataset:
    root = Path(source)
    has_test = (root / "test").is_dir()
    top = root / "train" if (root / "train").is_dir() else root
    if has_test and top is root:
        raise DataError(f"{root}: a test folder but no train folder; add train/<word>/ with recordings")
    names = classes(top)
    if len(names) < 2:
        raise DataError(f"{top}: {len(names)} folder of recordings; at least 2 are needed, one a word")
    listed = [files_of(folder, names, SUFFIXES) for folder in ([top, root / "test"] if has_test else [top])]
    paths = [path for files in listed for path, _ in files]
    labels = np.array([label for files in listed for _, label in files], np.int64)
    in_test = np.array([k > 0 for k, files in enumerate(listed) for _ in files])
    waves, rate, good, bad = _read(root, paths, options)
    bands = {"mels": options.size[1]} if options.size else {}
    front_end = raw.chosen(options, Window((waves.shape[1], 1, 1), rate), {"name": "log_mel", **bands})
    x, samples = raw.features(front_end, waves)
    speakers = np.array(groups_of(root, [p for p, ok in zip(paths, good, strict=True) if ok], _speaker))
    whole = Part(x, labels[good], speakers, raw=samples)
    rows, columns, _ = front_end.output_shape
    notes = [f"front end {front_end.name}: {rows} x {columns} from {front_end.samples} samples at {rate} Hz"]
    rest, test = _cut(source, whole, in_test[good] if has_test else None, options, notes)
    val = cut_by_group(rest.y, rest.groups, options.val_share, options.seed)
    return Dataset.sealed(root.resolve().name, Kind.SIGNAL, names, (rest.take(~val), rest.take(val), test),
                          LoadReport(source, tuple(bad), tuple(notes)), front_end=front_end)


def _cut(source: str, whole: Part, in_test: Array | None, options: Options, notes: list[str]) -> tuple[Part, Part]:
    """(everything else, the test part)."""
    speakers = sorted(set(whole.groups.tolist()))
    if options.hold_out is not None:
        if options.hold_out not in speakers:
            raise InputError(f"{source}: no speaker '{options.hold_out}' to hold out; there are {', '.join(speakers)}")
        mask = whole.groups == options.hold_out
        notes.append(f"test: all {mask.sum()} recordings of {options.hold_out}, whom training never hears")
        return whole.take(~mask), whole.take(mask)
    if in_test is None:
        mask = cut_by_group(whole.y, whole.groups, options.test_share, 0)
        notes.append(f"no test folder: {mask.sum()} of {len(mask)} recordings were set aside as the test part")
        return whole.take(~mask), whole.take(mask)
    rest, test = whole.take(~in_test), whole.take(in_test)
    both = {*rest.groups.tolist()} & {*test.groups.tolist()}
    if both:
        notes.append(f"{len(both)} of {len(speakers)} speakers are heard in train and in test: the score is that for "
                     f"known voices; hold one out for an unknown one")
        rest = replace(rest, groups=own_groups(len(rest), "recording"))
        test = replace(test, groups=own_groups(len(test), "test recording"))
    return rest, test


def _read(root: Path, paths: list[Path], options: Options) -> tuple[Array, int, Array, list[BadFile]]:
    """((files, samples) of those that can be read, the rate of all, which can be, what could not)."""

    def make() -> Mapping[str, Array]:
        found = cache.spread(lambda path: _window(path, options.seconds), paths)
        good = [w for w, _, _ in found if w is not None]
        longest = max((len(w) for w in good), default=0)  # rates that differ are refused below
        return {
            "samples": np.stack([_fitted(w, longest) for w in good]) if good else np.zeros((0, 1), np.int16),
            "rates": np.array([rate for _, rate, _ in found]),
            "reasons": np.array([reason for _, _, reason in found], np.str_),
        }

    stored = cache.arrays(["wav", cache.digests(paths), options.seconds], make)
    bad = [BadFile(p.relative_to(root).as_posix(), str(r)) for p, r in zip(paths, stored["reasons"], strict=True) if r]
    if len(bad) > options.max_bad_share * len(paths) or len(bad) == len(paths):
        named = "; ".join(f"{b.path}: {b.reason}" for b in bad[:3])
        raise DataError(f"{root}: {len(bad)} of {len(paths)} recordings cannot be read ({named}); "
                        f"repair or remove them, or leave them out (--skip-damaged)")
    good = stored["reasons"] == ""
    rates = {int(r): p for p, r, ok in reversed(list(zip(paths, stored["rates"], good, strict=True))) if ok}
    if len(rates) > 1:
        (b, second), (a, first) = sorted(rates.items(), key=lambda item: paths.index(item[1]), reverse=True)[-2:]
        raise DataError(f"{root}: recordings of {a} Hz ({first.name}) and of {b} Hz ({second.name}); bring all to one "
                        f"rate, that of the device's microphone")
    return stored["samples"], next(iter(rates)), good, bad


def _window(path: Path, seconds: float) -> tuple[Array | None, int, str]:
    """(so many seconds of a recording, its rate, ""), or (None, 0, why it cannot be read)."""
    try:
        samples, rate = read_wav(path)
    except (wave.Error, EOFError, OSError, ValueError) as error:
        return None, 0, str(error) or "the file ends early"
    return _fitted(samples, max(1, round(seconds * rate))), rate, ""


def read_wav(path: Path) -> tuple[Array, int]:
    """((samples,) int16, rate in Hz) of a PCM file; channels are averaged. ValueError where it cannot be used."""
    with wave.open(str(path), "rb") as file:
        width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
        data = file.readframes(file.getnframes())
    if width not in (1, 2):
        raise ValueError(f"{8 * width} bits a sample; 8 or 16 are needed")
    raw = np.frombuffer(data[: len(data) // (width * channels) * width * channels], np.uint8 if width == 1 else "<i2")
    if not raw.size:
        raise ValueError("no samples")
    samples = (raw.astype(np.int32) - 128) << 8 if width == 1 else raw.astype(np.int32)
    return np.asarray(samples.reshape(-1, channels).sum(axis=1) // channels, np.int16), rate


def _fitted(samples: Array, length: int) -> Array:
    """The middle of a recording that is too long, silence around one that is too short."""
    if len(samples) >= length:
        start = (len(samples) - length) // 2
        return samples[start : start + length]
    before = (length - len(samples)) // 2
    return np.pad(samples, (before, length - len(samples) - before))


def _speaker(path: Path) -> str:
    return re.sub(r"_(nohash_)?\d+$", "", path.stem)
