"""Elementwise square of the difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, DType, TensorType
from ._sum import Summing
from .base import Case, Op, Operand, constraint


@constraint
def scales_in_range(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """the square of the larger input scale must be below 2**10 times the scale of the int8 output"""
    if outputs[0].dtype is DType.FLOAT32:
        return True
    return max(o.type.scale for o in operands) ** 2 < outputs[0].scale * (1 << 10)


@dataclass(frozen=True)
class SquaredDifference(Summing):
    """((…) - (…))**2 -> (…), each with its own scale."""

    name: ClassVar[str] = "squared_difference"
    headroom: ClassVar[int] = 7
    constraints = (scales_in_range,)
    tflite_code: ClassVar[int] = 99

    def real(self, x: Array, y: Array) -> Array:
        return (x - y) ** 2

    def multipliers(self, types: Sequence[TensorType], output: TensorType) -> tuple[tuple[int, int], ...]:
        twice_max = 2 * max(types[0].scale, types[1].scale)
        first, second, _ = super().multipliers(types, output)
        # TFLite multiplies the output's scale in float32.
        divisor = float(np.float32(1 << 2 * self.headroom) * np.float32(output.scale))
        return first, second, quantize_multiplier(twice_max * twice_max / divisor)

    def codes(self, x: Array, y: Array, types: Sequence[TensorType], output: TensorType) -> Array:
        a, b = self.aligned(x, y, types, output)
        return requantize((a - b) ** 2, *self.multipliers(types, output)[2]) + output.zero_point

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.pairs(rng, (0.03, -5), (0.05, 40), (0.6, -128))
