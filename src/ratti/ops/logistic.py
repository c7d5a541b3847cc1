"""The logistic function, in fixed point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..fixed_point import rounding_divide_by_pot
from ..types import Array, DType, TensorType
from ._exponential import logistic
from ._unary import INTEGER_BITS, Unary, sigmoid_argument, sigmoid_output, sigmoid_scale
from ._wide import LOGISTIC, Sigmoid
from .base import Case


@dataclass(frozen=True)
class Logistic(Unary):
    """1 / (1 + exp(-x)); the output has scale 1/256 and zero point -128."""

    name: ClassVar[str] = "logistic"
    takes_int16: ClassVar[bool] = True
    wide: ClassVar[Sigmoid] = LOGISTIC
    tflite_code: ClassVar[int] = 14
    constraints = (sigmoid_output(1 / 256, -128), sigmoid_scale)

    def real(self, x: Array) -> Array:
        return 1 / (1 + np.exp(-x))

    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        if output.dtype is DType.INT16:
            return self.wide.codes(codes, input)
        x, inside = sigmoid_argument(codes, input)
        y = rounding_divide_by_pot(logistic(x, INTEGER_BITS), 31 - 8) - 128
        return np.where(inside, y, np.where(codes > input.zero_point, 127, -128))

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.unary_cases(
            *(
                (scale, zero, 1 / 256, -128)
                for scale, zero in ((0.05, 3), (0.1, -128), (0.2, 127), (0.011, 0), (1.3, -9))
            )
        )
