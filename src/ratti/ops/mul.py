"""Elementwise product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, DType, TensorType
from ._binary import Activated
from .base import Activation, Case, Op, Operand, constraint, in_int16


@constraint
def factor_in_range(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """the product of the operands' scales must be below 2**14 times the scale of the int8 output"""
    if outputs[0].dtype is DType.FLOAT32:
        return True
    return operands[0].type.scale * operands[1].type.scale / outputs[0].scale < 1 << 14


@dataclass(frozen=True)
class Mul(Activated):
    """(…) * (…) -> (…), each with its own scale."""

    activation: Activation = Activation.NONE

    name: ClassVar[str] = "mul"
    takes_int16: ClassVar[bool] = True
    constraints = (factor_in_range,)
    tflite_code: ClassVar[int] = 18
    tflite_options: ClassVar[str | None] = "MulOptions"

    def real(self, x: Array, y: Array) -> Array:
        return x * y

    @staticmethod
    def multiplier(types: Sequence[TensorType], output: TensorType) -> tuple[int, int]:
        """(multiplier, shift) of the product of the codes less their zero points."""
        return quantize_multiplier(types[0].scale * types[1].scale / output.scale)

    def codes(self, x: Array, y: Array, types: Sequence[TensorType], output: TensorType) -> Array:
        product = (x - types[0].zero_point) * (y - types[1].zero_point)
        return requantize(product, *self.multiplier(types, output)) + output.zero_point

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        pairs = list(cls.pairs(rng, (0.03, -5), (0.05, 40), (0.1, 3)))
        yield from (*pairs, *map(in_int16, pairs[:3]), in_int16(pairs[-1]))
        equal = next(cls.pairs(rng, (0.05, -128), (0.0039, -128), (0.05, -128)))
        yield replace(equal, label="gate", op=cls(Activation.RELU6))
        yield next(replace(c, label="saturates") for c in cls.pairs(rng, (0.5, 127), (0.3, -128), (0.05, 0)))
        yield next(replace(c, label="left_shift") for c in cls.pairs(rng, (0.9, 3), (1.9, -4), (0.5, 0)))
