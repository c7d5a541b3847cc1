"""Elementwise addition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..fixed_point import requantize
from ..types import Array, TensorType
from ._binary import Activated
from ._sum import Summing
from .base import Activation, Case, Operand, in_int16, int8


@dataclass(frozen=True)
class Add(Activated, Summing):
    """(…) + (…) -> (…), each with its own scale."""

    activation: Activation = Activation.NONE

    name: ClassVar[str] = "add"
    takes_int16: ClassVar[bool] = True
    tflite_code: ClassVar[int] = 0
    tflite_options: ClassVar[str | None] = "AddOptions"

    def real(self, x: Array, y: Array) -> Array:
        return x + y

    def codes(self, x: Array, y: Array, types: Sequence[TensorType], output: TensorType) -> Array:
        a, b = self.aligned(x, y, types, output)
        return requantize(a + b, *self.multipliers(types, output)[2]) + output.zero_point

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        def case(
            label: str, a: TensorType, b: TensorType, scale: float, zp: int, act: Activation = Activation.NONE
        ) -> Case:
            return Case(label, cls(act), (Operand(a), Operand(b)), (int8(a.shape, scale, zp),))

        shape = (1, 3, 5, 7)
        yield case("plain", int8(shape, 0.02, 3), int8(shape, 0.035, -20), 0.05, 1)
        yield case("relu", int8(shape, 0.02, -128), int8(shape, 0.02, -128), 0.02, -128, Activation.RELU)
        yield case("relu6", int8(shape, 0.05, 0), int8(shape, 0.04, 127), 0.0235, -128, Activation.RELU6)
        yield case("saturates", int8(shape, 0.5, 127), int8(shape, 0.001, -128), 0.05, 0)
        yield case("far_scales", int8(shape, 1.0, -3), int8(shape, 1e-5, 90), 0.9, 12)
        yield case("near_scales", int8(shape, 0.0101, 127), int8(shape, 0.01, 127), 0.0201, 120, Activation.NONE)
        yield case("small_output", int8(shape, 0.05, 0), int8(shape, 0.07, 0), 1e-4, -100)
        yield case("relu_n1_to_1", int8(shape, 0.02, 0), int8(shape, 0.01, -5), 0.02, 3, Activation.RELU_N1_TO_1)
        yield case("same_scales", int8((1, 16), 0.1, 0), int8((1, 16), 0.1, 0), 0.1, 0)
        pairs = list(cls.pairs(rng, (0.03, -5), (0.05, 40), (0.06, 3)))
        yield from pairs
        yield from (in_int16(c) for c in pairs)
        yield in_int16(case("relu6", int8(shape, 0.05, 0), int8(shape, 0.04, 127), 0.0235, -128, Activation.RELU6))
        yield in_int16(case("far_scales", int8(shape, 1.0, -3), int8(shape, 1e-5, 90), 0.9, 12))
