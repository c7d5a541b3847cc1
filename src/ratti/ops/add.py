"""Elementwise addition of two tensors of one shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, DType, Shape, TensorType
from ._accumulate import activation_of
from .base import Activation, Case, Op, Operand, constraint, int8

LEFT_SHIFT = 20  # headroom that both operands gain before they are rescaled (TFLite's choice for int8)


@constraint
def output_scale_in_range(op: Add, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """the int8 output's scale must be more than 2**-19 of the larger input's"""
    if outputs[0].dtype is DType.FLOAT32:
        return True
    return outputs[0].scale > max(o.type.scale for o in operands) * 2.0 ** (1 - LEFT_SHIFT)


@dataclass(frozen=True)
class Add(Op):
    """(…) + (…) -> (…), all of one shape, each with its own scale."""

    activation: Activation = Activation.NONE

    name: ClassVar[str] = "add"
    operand_names: ClassVar[tuple[str, ...]] = ("input", "other")
    activations: ClassVar[int] = 2
    constraints = (output_scale_in_range,)
    tflite_code: ClassVar[int] = 0
    tflite_options: ClassVar[str | None] = "AddOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        if shapes[0] != shapes[1]:
            raise ValueError(f"operands of shapes {shapes[0]} and {shapes[1]}; they must be the same")
        return (shapes[0],)

    @staticmethod
    def multipliers(types: Sequence[TensorType], output: TensorType) -> tuple[tuple[int, int], ...]:
        """(multiplier, shift) of the first operand, of the second and of the sum."""
        twice_max = 2 * max(types[0].scale, types[1].scale)
        return (
            quantize_multiplier(types[0].scale / twice_max),
            quantize_multiplier(types[1].scale / twice_max),
            quantize_multiplier(twice_max / ((1 << LEFT_SHIFT) * output.scale)),
        )

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        out = outputs[0]
        if out.dtype is DType.FLOAT32:
            return (self.activation.apply(inputs[0].astype(np.float64) + inputs[1]).astype(np.float32),)
        first, second, sum_ = self.multipliers(types, out)
        total = np.zeros(out.shape, np.int64)
        for x, type, (multiplier, shift) in zip(inputs, types, (first, second), strict=True):
            total += requantize((x.astype(np.int64) - type.zero_point) << LEFT_SHIFT, multiplier, shift)
        codes = requantize(total, *sum_) + out.zero_point
        return (np.clip(codes, *self.activation.code_range(out)).astype(out.dtype.numpy),)

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(activation_of(options)), (0, 1)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"fused_activation_function": int(self.activation)}, ()

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
