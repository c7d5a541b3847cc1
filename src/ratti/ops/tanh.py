"""Hyperbolic tangent, in fixed point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..fixed_point import rounding_divide_by_pot
from ..types import Array, DType, TensorType
from ._exponential import tanh
from ._unary import INTEGER_BITS, Unary, sigmoid_argument, sigmoid_output, sigmoid_scale
from ._wide import TANH, Sigmoid
from .base import Case


@dataclass(frozen=True)
class Tanh(Unary):
    """Hyperbolic tangent; the output has scale 1/128 and zero point 0."""

    name: ClassVar[str] = "tanh"
    takes_int16: ClassVar[bool] = True
    wide: ClassVar[Sigmoid] = TANH
    tflite_code: ClassVar[int] = 28
    constraints = (sigmoid_output(1 / 128, 0), sigmoid_scale)

    def real(self, x: Array) -> Array:
        return np.tanh(x)

    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        if output.dtype is DType.INT16:
            return self.wide.codes(codes, input)
        x, inside = sigmoid_argument(codes, input)
        y = rounding_divide_by_pot(tanh(x, INTEGER_BITS), 31 - 7)
        return np.where(inside, y, np.where(codes > input.zero_point, 127, -128))

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.unary_cases(
            *((scale, zero, 1 / 128, 0) for scale, zero in ((0.05, 3), (0.02, -128), (0.1, 127), (0.007, 0), (0.9, -9)))
        )
