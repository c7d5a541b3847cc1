"""Elementwise ops of one int8 tensor: each is a table of 256 codes, so one kernel serves them all."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, DType, Quant, Shape, TensorType
from ._wide import SCALE
from .base import Case, Constraint, Op, Operand, constraint, in_int16, int8

# Scales whose ratio is 1.5 in float32 and a little less in double precision: every odd code is almost a tie.
ALMOST_3_TO_2 = (0.41563326120376587, 0, 0.27708885073661804, 0)


class Unary(Op):
    """(…) -> (…); subclasses say what happens to one element."""

    @abstractmethod
    def real(self, x: Array) -> Array:
        """The op on real values."""

    @abstractmethod
    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        """The op on int64 codes, not yet saturated."""

    def table(self, input: TensorType, output: TensorType) -> Array:
        """Output codes for the input codes -128 … 127: (256,) int8."""
        lo, hi = output.dtype.limits
        return np.clip(self.codes(np.arange(-128, 128), input, output), lo, hi).astype(np.int8)

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        return (shapes[0],)

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        if outputs[0].dtype is DType.FLOAT32:
            return (self.real(inputs[0].astype(np.float64)).astype(np.float32),)
        if types[0].dtype is DType.INT16:
            codes = self.codes(inputs[0].astype(np.int64), types[0], outputs[0])
            return (np.clip(codes, *outputs[0].dtype.limits).astype(outputs[0].dtype.numpy),)
        return (self.table(types[0], outputs[0])[inputs[0].astype(np.int64) + 128],)

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(), (0,)

    @classmethod
    def unary_cases(cls, *quants: tuple[float, int, float, int]) -> Iterator[Case]:
        """One case of all 256 codes for each (input scale, zero point, output scale, zero point)."""
        for k, (in_scale, in_zp, out_scale, out_zp) in enumerate(quants):
            x, y = int8((1, 16, 16), in_scale, in_zp), int8((1, 16, 16), out_scale, out_zp)
            yield Case(f"q{k}", cls(), (Operand(x),), (y,))
            if cls.takes_int16:
                yield in_int16(Case(f"q{k}", cls(), (Operand(x),), (y,)))


def rescale(codes: Array, input: TensorType, output: TensorType) -> Array:
    """Codes of the output type for the same real values, not saturated."""
    multiplier, shift = quantize_multiplier(input.scale / output.scale)
    return requantize(codes - input.zero_point, multiplier, shift) + output.zero_point


INTEGER_BITS = 4  # of the argument of a sigmoid, before the point


def sigmoid_output(scale: float, zero_point: int) -> Constraint:
    """The constraint that TFLite puts on the output of logistic and tanh."""

    def holds(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
        wanted = Quant.per_tensor(scale, zero_point) if outputs[0].dtype is DType.INT8 else Quant.per_tensor(SCALE, 0)
        return outputs[0].dtype is DType.FLOAT32 or outputs[0].quant == wanted

    holds.__doc__ = (
        f"the int8 output must have scale 1/{round(1 / scale)} and zero point {zero_point} (int16: 1/32768 and 0)"
    )
    return constraint(holds)


@constraint
def sigmoid_scale(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """the scale of an int8 input of logistic and tanh must lie between 2**-23 and 8 (int16: and 4)"""
    most = 4 if outputs[0].dtype is DType.INT16 else 8
    return outputs[0].dtype is DType.FLOAT32 or 2.0**-23 < operands[0].type.scale < most


def sigmoid_argument(codes: Array, input: TensorType) -> tuple[Array, Array]:
    """The argument in Q4.27, and where it lies inside that range: beyond it, sigmoids are at their ends."""
    multiplier, shift = quantize_multiplier(input.scale * (1 << (31 - INTEGER_BITS)))
    radius = ((1 << INTEGER_BITS) - 1) * (1 << (31 - INTEGER_BITS)) / 2.0**shift
    x = codes - input.zero_point
    inside = np.abs(x) < int(radius)
    return requantize(np.where(inside, x, 0), multiplier, shift), inside
