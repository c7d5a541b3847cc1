"""The smaller of two elements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, TensorType
from ._binary import Binary
from .base import Case, all_same_quantization, in_int16


@dataclass(frozen=True)
class Minimum(Binary):
    """The smaller element of (…) and (…), all of one scale and zero point."""

    name: ClassVar[str] = "minimum"
    takes_int16: ClassVar[bool] = True
    constraints = (all_same_quantization,)
    tflite_code: ClassVar[int] = 57
    tflite_options: ClassVar[str | None] = "MaximumMinimumOptions"

    def real(self, x: Array, y: Array) -> Array:
        result: Array = np.minimum(x, y)
        return result

    def codes(self, x: Array, y: Array, types: Sequence[TensorType], output: TensorType) -> Array:
        return self.real(x, y)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        pairs = list(cls.pairs(rng, (0.03, -5), (0.03, -5), (0.03, -5)))
        yield from (*pairs, *map(in_int16, pairs[:3]), in_int16(pairs[-1]))
