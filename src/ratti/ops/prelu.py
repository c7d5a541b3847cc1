"""Rectified linear unit with slopes below zero that are operands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, TensorType
from ._binary import Binary
from .base import Case
from .mul import factor_in_range


@dataclass(frozen=True)
class Prelu(Binary):
    """x where it is positive, alpha * x elsewhere; alpha is the second operand, as a rule one value a channel."""

    name: ClassVar[str] = "prelu"
    operand_names: ClassVar[tuple[str, ...]] = ("input", "alpha")
    constraints = (factor_in_range,)
    tflite_code: ClassVar[int] = 54

    def real(self, x: Array, y: Array) -> Array:
        return np.where(x >= 0, x, x * y)

    @staticmethod
    def multipliers(types: Sequence[TensorType], output: TensorType) -> tuple[tuple[int, int], tuple[int, int]]:
        """(multiplier, shift) of positive elements, and of the products of others."""
        return (
            quantize_multiplier(types[0].scale / output.scale),
            quantize_multiplier(types[0].scale * types[1].scale / output.scale),
        )

    def codes(self, x: Array, y: Array, types: Sequence[TensorType], output: TensorType) -> Array:
        up, down = self.multipliers(types, output)
        a, alpha = x - types[0].zero_point, y - types[1].zero_point
        return np.where(a >= 0, requantize(a + 0 * alpha, *up), requantize(a * alpha, *down)) + output.zero_point

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.pairs(rng, (0.03, -5), (0.01, 40), (0.035, 3))
