"""Elementwise subtraction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..fixed_point import requantize
from ..types import Array, TensorType
from ._binary import Activated
from ._sum import Summing
from .base import Activation, Case, in_int16


@dataclass(frozen=True)
class Sub(Activated, Summing):
    """(…) - (…) -> (…), each with its own scale."""

    activation: Activation = Activation.NONE

    name: ClassVar[str] = "sub"
    takes_int16: ClassVar[bool] = True
    tflite_code: ClassVar[int] = 41
    tflite_options: ClassVar[str | None] = "SubOptions"

    def real(self, x: Array, y: Array) -> Array:
        return x - y

    def codes(self, x: Array, y: Array, types: Sequence[TensorType], output: TensorType) -> Array:
        a, b = self.aligned(x, y, types, output)
        return requantize(a - b, *self.multipliers(types, output)[2]) + output.zero_point

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        pairs = list(cls.pairs(rng, (0.03, -5), (0.05, 40), (0.06, 3)))
        yield from (*pairs, *map(in_int16, pairs[:3]), in_int16(pairs[-1]))
        equal = next(cls.pairs(rng, (0.05, -128), (0.05, -128), (0.05, -128)))
        yield replace(equal, label="relu", op=cls(Activation.RELU))
        yield next(replace(c, label="saturates") for c in cls.pairs(rng, (0.5, 127), (0.001, -128), (0.05, 0)))
