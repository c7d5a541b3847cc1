"""What a data set is: arrays, labels, class names, groups, and three parts of which one is sealed.

DESIGN decision 9: whatever selects never sees the test set. The test part is therefore reachable through one
accessor, `Dataset.open_test(why)`, which records that it was opened and by whom.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import DataError
from ..features import Codes, FrontEnd
from ..types import Array, DType, Quant, Shape
from . import goals
from .score import Score


class Kind(enum.Enum):
    """What the samples are; it decides the input convention and the augmentation."""

    IMAGE = "image"  # uint8 pixels
    SIGNAL = "signal"  # int16 or float32 values


@dataclass(frozen=True)
class Normalization:
    """real = (value - mean) / std, per channel (or one value for all).

    Images: mean = std = 128, always. The int8 code of a pixel is then pixel - 128 with scale 1/128 and zero point 0,
    and firmware computes it as `pixel ^ 0x80`. Signals: mean and std of the train part.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.mean:
            raise ValueError(f"{len(self.mean)} means and {len(self.std)} standard deviations")
        if any(not s > 0 for s in self.std):
            raise ValueError("a standard deviation must be above zero")

    def real(self, x: Array) -> Array:
        """(N, H, W, C) of any type to float32 real values of the same shape."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        return np.asarray((x.astype(np.float32) - mean) / std, np.float32)


PIXELS = Normalization((128.0,), (128.0,))


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples of a data set: x (N, H, W, C), y (N,) int64, groups (N,) str; `numbers` (N, K) float32 stand beside
    the samples, such as the intervals between heartbeats; `raw` (N, samples) is what the sensor gave, of which a front
    end made x. Both None where there are none. The arrays are read-only.
    """

    x: Array
    y: Array
    groups: Array
    numbers: Array | None = None
    raw: Array | None = None
    points: Array | None = None

    def __post_init__(self) -> None:
        if self.x.ndim != 4 or self.y.shape != (len(self.x),) or self.groups.shape != (len(self.x),):
            shapes = f"x {self.x.shape}, y {self.y.shape}, groups {self.groups.shape}"
            raise ValueError(f"{shapes} do not belong together")
        if self.numbers is not None and (self.numbers.ndim != 2 or len(self.numbers) != len(self.x)):
            raise ValueError(f"x {self.x.shape} and numbers {self.numbers.shape} do not belong together")
        if self.raw is not None and len(self.raw) != len(self.x):
            raise ValueError(f"x {self.x.shape} and raw {self.raw.shape} do not belong together")
        if self.points is not None and (self.points.ndim != 3 or len(self.points) != len(self.x)):
            raise ValueError(f"x {self.x.shape} and points {self.points.shape} do not belong together")
        for array in (self.x, self.y, self.groups, self.numbers, self.raw, self.points):
            if array is not None:
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: Array | slice) -> Part:
        """The samples at `index` (integers, a slice or a mask)."""
        numbers = None if self.numbers is None else self.numbers[index]
        raw = None if self.raw is None else self.raw[index]
        points = None if self.points is None else self.points[index]
        return Part(self.x[index], self.y[index], self.groups[index], numbers, raw, points)

    def joined(self, other: Part) -> Part:
        """These samples and then those of `other`, which have the same things beside them."""
        def both(one: Array | None, more: Array | None) -> Array | None:
            return None if one is None or more is None else np.concatenate([one, more])

        return Part(np.concatenate([self.x, other.x]), np.concatenate([self.y, other.y]),
                    np.concatenate([self.groups, other.groups]), both(self.numbers, other.numbers),
                    both(self.raw, other.raw), both(self.points, other.points))

    def batches(self, size: int) -> Iterator[Part]:
        """The samples in order, at most `size` at a time."""
        return (self.take(slice(i, i + size)) for i in range(0, len(self), size))


@dataclass(frozen=True)
class BadFile:
    """A file that could not be used, and why; `path` is relative to the data set's root."""

    path: str
    reason: str


@dataclass(frozen=True)
class LoadReport:
    """What loading found: nothing is dropped without its line here."""

    source: str
    bad_files: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """One line per finding, for people."""
        bad = tuple(f"left out {b.path}: {b.reason}" for b in self.bad_files)
        return (*self.notes, *bad)


@dataclass
class _Seal:
    """Holds the test part and the list of those who opened it."""

    part: Part
    opened: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Samples of one task, split by group. Build one with `Dataset.sealed`."""

    name: str
    kind: Kind
    class_names: tuple[str, ...]
    normalization: Normalization
    numbers_normalization: Normalization | None  # of the numbers beside the samples, where there are any
    train: Part
    val: Part
    flip_safe: bool  # a mirrored sample keeps its class
    report: LoadReport
    _test: _Seal = field(repr=False)
    front_end: FrontEnd | None = None  # what made x from what a sensor gives; None: pictures, as they are
    goal: str = "classify"  # a module of `goals`
    settings: goals.Settings = field(default_factory=dict)  # what the goal chose on validation (`settled`)
    val_learned: bool = False  # training sees the validation part, which then selects nothing (`joined`)

    @classmethod
    def sealed(cls, name: str, kind: Kind, class_names: Sequence[str], parts: tuple[Part, Part, Part],
               report: LoadReport, flip_safe: bool = False, front_end: FrontEnd | None = None,
               goal: str = "classify") -> Dataset:
        """A data set of (train, val, test); `DataError` where it cannot be trained on."""
        train, val, test = parts
        if len(class_names) < 2:
            raise DataError(f"{name}: {len(class_names)} class ({', '.join(class_names)}); at least 2 are needed")
        if len(set(class_names)) != len(class_names):
            raise DataError(f"{name}: class names repeat: {', '.join(class_names)}")
        for title, part in (("train", train), ("validation", val), ("test", test)):
            if not len(part):
                raise DataError(f"{name}: the {title} part is empty; add samples or groups")
            if part.x.shape[1:] != train.x.shape[1:]:
                raise DataError(f"{name}: samples of shape {part.x.shape[1:]} in {title}, {train.x.shape[1:]} in train")
            if _beside(part) != _beside(train):
                raise DataError(f"{name}: the samples of {title} have other numbers beside them than those of train")
            if part.y.min() < 0 or part.y.max() >= len(class_names):
                raise DataError(f"{name}: labels {part.y.min()} to {part.y.max()} in {title}, "
                                f"but {len(class_names)} classes (0 to {len(class_names) - 1})")
        missing = [class_names[c] for c in range(len(class_names)) if c not in set(train.y.tolist())]
        if missing:
            raise DataError(f"{name}: no training sample of {', '.join(missing)}; each class needs some in train")
        shared = {*train.groups.tolist()} & {*val.groups.tolist()}
        shared |= ({*train.groups.tolist()} | {*val.groups.tolist()}) & {*test.groups.tolist()}
        if shared:
            raise DataError(f"{name}: group {min(shared)} (one of {len(shared)}) is in more than one part, "
                            f"which leaks; move each group into one part")
        normalization = PIXELS if kind is Kind.IMAGE else _fit(train.x)
        beside = None if train.numbers is None else _fit(train.numbers)
        return cls(name, kind, tuple(class_names), normalization, beside, train, val, flip_safe, report, _Seal(test),
                   front_end, goal)

    def made_for(self, goal: str) -> Dataset:
        """The same data for another goal: training keeps what that learns from, and is normalized by it."""
        if goal == self.goal:
            return self
        data = self._led_by(goals.NORMAL)
        mask = goals.load(goal).learned(data.train)
        train = data.train.take(mask)
        normalization = self.normalization if self.kind is Kind.IMAGE else _fit(train.x)
        beside = None if train.numbers is None else _fit(train.numbers)
        note = f"goal '{goal}': {len(train)} of {len(mask)} training samples are learned from"
        note += "" if mask.all() else f", those of {data.class_names[0]}"
        report = replace(self.report, notes=(*self.report.notes, note))
        found = replace(data, goal=goal, train=train, normalization=normalization, numbers_normalization=beside,
                        report=report)
        found.targets(found.val.take(slice(1)))  # DataError now where the data are not made for it
        return found

    def _led_by(self, name: str) -> Dataset:
        """With the class `name` first, where there is one."""
        if name not in self.class_names[1:]:
            return self
        order = sorted(range(self.classes), key=lambda c: self.class_names[c] != name)
        label = np.argsort(order)

        def told(part: Part) -> Part:
            return replace(part, y=label[part.y])

        return replace(self, class_names=tuple(self.class_names[c] for c in order), train=told(self.train),
                       val=told(self.val), _test=_Seal(told(self._test.part), self._test.opened))

    def joined(self) -> Dataset:
        """With the validation part in train, for a last training when everything is chosen: more samples, and no epoch
        is selected by what was learned from. Inputs are normalized as before.
        """
        kept = goals.load(self.goal).learned(self.val)
        return replace(self, train=self.train.joined(self.val.take(kept)), val_learned=True)

    def settled(self, answers: Callable[[Part], tuple[Array, Array]]) -> Dataset:
        """With what the goal chooses on validation from (outputs, inputs), real values, that `answers` gives."""
        found = goals.load(self.goal).settle(lambda: answers(self.val), self.val)
        return replace(self, settings=found)

    @property
    def outputs(self) -> int:
        """How many outputs a net for these data has."""
        return goals.load(self.goal).outputs(self.classes, self.input_shape)

    def targets(self, part: Part) -> Array:
        """What a loss compares outputs with: labels (N,), or what the goal wants instead."""
        return goals.load(self.goal).targets(part, self.normalization.real(part.x), self.classes)

    def score(self, outputs: Array, part: Part, inputs: Array | None = None) -> Score:
        """How good outputs (N, K) are, real values; `inputs` (N, H, W, C) are what the net saw (None: unrounded)."""
        seen = self.normalization.real(part.x) if inputs is None else inputs
        return goals.load(self.goal).score(outputs, part, seen, self.classes, self.settings)

    @property
    def input_shape(self) -> Shape:
        """(H, W, C) of a sample."""
        return tuple(int(d) for d in self.train.x.shape[1:])

    @property
    def numbers(self) -> int:
        """How many numbers stand beside a sample."""
        return _beside(self.train)

    def real(self, part: Part) -> tuple[Array, ...]:
        """What a net takes, float32: (N, H, W, C), and (N, numbers) where there are any."""
        x = self.normalization.real(part.x)
        if part.numbers is None or self.numbers_normalization is None:
            return (x,)
        return x, self.numbers_normalization.real(part.numbers)

    def codes(self, part: Part, quants: Sequence[Quant]) -> list[Array]:
        """int8 codes of what `real` gives, under the quantization of each input: as firmware computes them."""
        first, *others = self.real(part)
        x = quants[0].quantize(first, DType.INT8) if self.front_end is None else self.front_codes(quants[0])(part.x)
        return [x, *(q.quantize(real, DType.INT8) for q, real in zip(quants[1:], others, strict=True))]

    def samples(self, part: Part) -> Array | None:
        """(N, samples): what the sensor gave, where that is kept: the frames of a camera are not."""
        if part.raw is not None:
            return part.raw
        return part.x.reshape(len(part), -1) if self.front_end is not None and self.kind is Kind.SIGNAL else None

    def front_codes(self, quant: Quant) -> Codes:
        """From features to the codes of an input quantized by `quant`."""
        return Codes.fit(np.array(self.normalization.mean), np.array(self.normalization.std), quant)

    @property
    def classes(self) -> int:
        return len(self.class_names)

    @property
    def input_quant(self) -> Quant | None:
        """The fixed int8 quantization of the input: of images, code = pixel - 128; None where calibration decides."""
        mean, std = set(self.normalization.mean), set(self.normalization.std)
        if self.kind is not Kind.IMAGE or len(mean) > 1 or len(std) > 1 or not min(mean).is_integer():
            return None
        return Quant.per_tensor(1 / min(std), int(min(mean)) - 128)

    def normalized(self, normalization: Normalization) -> Dataset:
        """The same data as a model from outside was trained on them: (0,), (255,) for pixels from 0 to 1."""
        channels = self.input_shape[2]
        if len(normalization.mean) not in (1, channels):
            raise DataError(f"{self.name}: a normalization of {len(normalization.mean)} channels, the samples have "
                            f"{channels}")
        return replace(self, normalization=normalization)

    @property
    def test_size(self) -> int:
        return len(self._test.part)

    @property
    def test_opened(self) -> tuple[str, ...]:
        """Who opened the test part, in order; empty while nobody has."""
        return tuple(self._test.opened)

    def open_test(self, why: str) -> Part:
        """The test part. For the final report alone; `why` is recorded in `test_opened`."""
        self._test.opened.append(why)
        return self._test.part

    def digest(self) -> str:
        """SHA-256 over the train and validation parts: the same data gives the same digest."""
        own = () if self.goal == "classify" else (self.goal,)
        sha = hashlib.sha256(repr((self.kind, self.class_names, self.input_shape, *own)).encode())
        for part in (self.train, self.val):
            sha.update(np.ascontiguousarray(part.x).data)
            sha.update(np.ascontiguousarray(part.y).data)
            for more in (part.numbers, part.points):
                if more is not None:
                    sha.update(np.ascontiguousarray(more).data)
        return sha.hexdigest()


def _beside(part: Part) -> int:
    """How many numbers stand beside a sample."""
    return 0 if part.numbers is None else int(part.numbers.shape[1])


def _fit(x: Array) -> Normalization:
    """Mean and standard deviation per channel; a constant channel gets std 1."""
    values = x.reshape(-1, x.shape[-1]).astype(np.float64)
    mean, std = values.mean(axis=0), values.std(axis=0)
    std = np.where(std > 0, std, 1.0)
    return Normalization(tuple(map(float, mean)), tuple(map(float, std)))
