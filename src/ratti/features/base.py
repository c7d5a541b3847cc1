"""What a front end is: a frozen dataclass of its settings with a numpy meaning and a C program."""

from __future__ import annotations

import dataclasses
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from .. import registry
from ..errors import FormatError, InputError
from ..types import Array, DType, Quant, Shape

CODE_BITS = 14  # of a multiplier: an int16 value times it, and a bias, stay in int32


@dataclass(frozen=True)
class Window:
    """What a sensor gives for one input: (samples, 1, channels), or (H, W, C) of a frame; None: no fixed rate."""

    shape: Shape
    rate_hz: int | None = None


@dataclass(frozen=True)
class Table:
    """A constant array of the C program: (n,), or (n, fields) for arrays of structs."""

    name: str
    ctype: str
    data: Array


@dataclass(frozen=True)
class Program:
    """The C side: `function(samples, values, tables…, scratch, sizes)` in `header`, which computes one step.

    A step is a frame of a spectrogram, a row of a picture, or everything: `steps` of them make the features. Each
    starts `hop_samples` further in the input; with 0 every step gets the whole input, and its own number behind it.
    `values` are int16, `step_values` a step.
    """

    header: str
    function: str
    steps: int
    hop_samples: int
    step_samples: int
    step_values: int
    scratch_bytes: int
    sizes: tuple[str, Mapping[str, int]]  # struct's name, fields
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class FrontEnd(ABC):
    """Samples (int16, or uint8 of a camera) to features (int16). Subclasses are frozen dataclasses of whole numbers,
    names and tuples of them, so that they can be written down; each says what may be set by the arguments of `fit`.
    """

    name: ClassVar[str]
    sample_type: ClassVar[DType] = DType.INT16

    @classmethod
    @abstractmethod
    def fit(cls, window: Window, resolution: int | None, **settings: Any) -> FrontEnd:
        """The front end for what the sensor gives and the number in a net's id (rows of its input; None: its own
        choice). ValueError where they do not go together.
        """

    @property
    @abstractmethod
    def samples(self) -> int:
        """How many values of `sample_type` one input has."""

    @property
    def side_by_side(self) -> int:
        """How many channels lie side by side in the samples."""
        return 1

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """(H, W, C) of the features."""

    @abstractmethod
    def compute(self, samples: Array) -> Array:
        """(N, samples) of `sample_type` to (N, H, W, C) int16: the definition."""

    @abstractmethod
    def program(self) -> Program:
        """The same in C."""

    def _check(self, samples: Array) -> None:
        want = self.sample_type.value
        if samples.ndim != 2 or samples.shape[1] != self.samples or samples.dtype != want:
            raise ValueError(f"samples are {samples.dtype}{list(samples.shape)}; {want} (N, {self.samples}) is needed")


@dataclass(frozen=True)
class Codes:
    """From features to int8 codes: clamp((value * multiplier + bias) >> shift), one of each per channel, or for all."""

    multiplier: tuple[int, ...]
    bias: tuple[int, ...]
    shift: tuple[int, ...]

    def __post_init__(self) -> None:
        if not len(self.multiplier) == len(self.bias) == len(self.shift) > 0:
            raise ValueError(f"{len(self.multiplier)} multipliers, {len(self.bias)} biases, {len(self.shift)} shifts")
        if min(self.shift) < 0 or max(self.shift) > 24 or max(map(abs, self.multiplier)) > 1 << CODE_BITS:
            raise ValueError("a shift or a multiplier beyond its range")

    @classmethod
    def fit(cls, mean: Array, std: Array, quant: Quant) -> Codes:
        """The map nearest to quantizing (value - mean) / std; `mean` and `std` (C,), or (1,) for all channels."""
        scale, zero_point = quant.scalar
        factor = 1 / (np.asarray(std, np.float64) * scale)
        shift = np.clip(CODE_BITS - 1 - np.floor(np.log2(factor)).astype(np.int64), 0, 24)
        multiplier = np.minimum(np.rint(factor * 2.0**shift), 1 << CODE_BITS).astype(np.int64)
        bias = np.rint((zero_point + 0.5 - np.asarray(mean, np.float64) * factor) * 2.0**shift)
        room = (1 << 31) - 1 - (np.abs(multiplier) << 15)
        bias = np.clip(bias, -room, room).astype(np.int64)  # far outside int8 already
        return cls(tuple(map(int, multiplier)), tuple(map(int, bias)), tuple(map(int, shift)))

    def __call__(self, values: Array) -> Array:
        """(..., C) int16 to int8 codes of the same shape."""
        scaled = values.astype(np.int64) * np.array(self.multiplier) + np.array(self.bias)
        return np.asarray(np.clip(scaled >> np.array(self.shift), -128, 127), np.int8)


def front_ends() -> tuple[str, ...]:
    """Names of the known front ends."""
    return tuple(n for n in registry.modules(__package__ or "") if n != "base")


def make(settings: Mapping[str, Any], window: Window, resolution: int | None) -> FrontEnd:
    """The front end that `settings` ({"name": …, …}) ask for; InputError where they cannot be met."""
    rest = {k: _value(v) for k, v in settings.items() if k != "name"}
    name = str(settings.get("name", ""))
    if name not in front_ends():
        raise registry.unknown("front end", name, front_ends())
    kind = _load(name)
    allowed = [p for p in inspect.signature(kind.fit).parameters if p not in ("window", "resolution")]
    strange = sorted(set(rest) - set(allowed))
    if strange:
        raise InputError(f"front end {name}: unknown key '{strange[0]}'; known: {', '.join(allowed) or 'none'}")
    try:
        return kind.fit(window, resolution, **rest)
    except (ValueError, TypeError) as error:
        raise InputError(f"front end {name}: {error}") from None


def to_json(front_end: FrontEnd, codes: Codes | None = None) -> str:
    """Settings as text, for a model's metadata."""
    content: dict[str, Any] = {"front_end": front_end.name, **dataclasses.asdict(front_end)}
    if codes is not None:
        content["codes"] = dataclasses.asdict(codes)
    return json.dumps(content, sort_keys=True)


def from_json(text: str) -> tuple[FrontEnd, Codes | None]:
    """What `to_json` wrote; FormatError where it is something else."""
    try:
        content = json.loads(text)
        name, codes = content.pop("front_end"), content.pop("codes", None)
        if name not in front_ends():
            raise FormatError(f"a front end '{name}', which this version does not have: {', '.join(front_ends())}")
        made = _load(name)(**{k: _value(v) for k, v in content.items()})
        return made, None if codes is None else Codes(**{k: _value(v) for k, v in codes.items()})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FormatError(f"a damaged description of a front end ({error})") from None


def _load(name: str) -> type[FrontEnd]:
    kind: type[FrontEnd] = import_module(f"{__package__}.{name}").FRONT_END
    return kind


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
