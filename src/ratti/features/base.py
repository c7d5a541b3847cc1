"""What a front end is: a frozen dataclass of its settings with a numpy meaning and a C program."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import numpy as np

from .. import registry
from ..errors import FormatError
from ..types import Array, Quant, Shape

CODE_BITS = 14  # of a multiplier: an int16 value times it, and a bias, stay in int32


@dataclass(frozen=True)
class Table:
    """A constant array of the C program: (n,), or (n, fields) for arrays of structs."""

    name: str
    ctype: str
    data: Array


@dataclass(frozen=True)
class Program:
    """The C side: `function(samples, values, tables…, scratch, sizes)` in `header`, which computes one step.

    A step is a frame of a spectrogram, or everything: `steps` of them, each `hop_samples` further in the input, make
    the features. `values` are int16, `step_values` a step.
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
    """Samples (int16) to features (int16). Subclasses are frozen dataclasses of whole numbers and pairs of them."""

    name: ClassVar[str]

    @property
    @abstractmethod
    def samples(self) -> int:
        """How many int16 values one input has."""

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """(H, W, C) of the features."""

    @abstractmethod
    def compute(self, samples: Array) -> Array:
        """(N, samples) int16 to (N, H, W, C) int16: the definition."""

    @abstractmethod
    def program(self) -> Program:
        """The same in C."""


@dataclass(frozen=True)
class Codes:
    """From features to int8 codes: clamp((value * multiplier + bias) >> shift), a multiplier and bias per channel."""

    multiplier: tuple[int, ...]
    bias: tuple[int, ...]
    shift: int

    @classmethod
    def fit(cls, mean: Array, std: Array, quant: Quant) -> Codes:
        """The map nearest to quantizing (value - mean) / std; `mean` and `std` (C,), or (1,) for all channels."""
        scale, zero_point = quant.scalar
        factor = 1 / (std.astype(np.float64) * scale)
        shift = min(24, max(0, CODE_BITS - 1 - int(np.floor(np.log2(factor.max())))))
        multiplier = np.rint(factor * (1 << shift)).astype(np.int64)
        bias = np.rint((zero_point + 0.5 - mean.astype(np.float64) * factor) * (1 << shift)).astype(np.int64)
        room = (1 << 31) - 1 - (np.abs(multiplier) << 15)
        bias = np.clip(bias, -room, room)  # far outside int8 already
        return cls(tuple(map(int, multiplier)), tuple(map(int, bias)), shift)

    def __call__(self, values: Array) -> Array:
        """(..., C) int16 to int8 codes of the same shape."""
        scaled = values.astype(np.int64) * np.array(self.multiplier) + np.array(self.bias)
        return np.asarray(np.clip(scaled >> self.shift, -128, 127), np.int8)


def front_ends() -> tuple[str, ...]:
    """Names of the known front ends."""
    return tuple(n for n in registry.modules(__package__ or "") if n != "base")


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
        made = import_module(f"{__package__}.{name}").FRONT_END(**{k: _value(v) for k, v in content.items()})
        assert isinstance(made, FrontEnd)
        return made, None if codes is None else Codes(**{k: _value(v) for k, v in codes.items()})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FormatError(f"a damaged description of a front end ({error})") from None


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
