"""Rectified linear unit with a slope below zero."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, TensorType
from ._unary import ALMOST_3_TO_2, Unary
from .base import Case, Operand, constraint


@constraint
def alpha_not_negative(op: LeakyRelu, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """alpha must be finite and not negative"""
    return 0 <= op.alpha < np.inf


@dataclass(frozen=True)
class LeakyRelu(Unary):
    """x where it is positive, alpha * x elsewhere."""

    alpha: float = 0.2

    name: ClassVar[str] = "leaky_relu"
    takes_int16: ClassVar[bool] = True
    tflite_code: ClassVar[int] = 98
    tflite_options: ClassVar[str | None] = "LeakyReluOptions"
    constraints = (alpha_not_negative,)

    def real(self, x: Array) -> Array:
        return np.where(x > 0, x, self.alpha * x)

    def multipliers(self, input: TensorType, output: TensorType) -> tuple[tuple[int, int], tuple[int, int]]:
        """(multiplier, shift) for what is not negative, and for what is."""
        sloped = input.scale * float(np.float32(self.alpha)) / output.scale
        return quantize_multiplier(float(input.scale / output.scale)), quantize_multiplier(float(sloped))

    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        x = codes - input.zero_point
        up, down = (requantize(x, *pair) for pair in self.multipliers(input, output))
        return np.where(x >= 0, up, down) + output.zero_point

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(float(options["alpha"])), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"alpha": self.alpha}, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for alpha in (0.1, 0.3, 1.7):
            for case in cls.unary_cases(
                (0.05, -10, 0.05, -10), (0.05, -10, 0.03, 77), (0.1, 0, 0.13, 5), ALMOST_3_TO_2
            ):
                yield replace(case, label=f"{case.label}_{alpha}".replace(".", "_"), op=cls(alpha))
