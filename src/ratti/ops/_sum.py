"""Sums and differences of two tensors: both operands gain headroom, are brought to one scale, and meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, DType, TensorType
from ._binary import Binary
from .base import Constraint, Operand, constraint


@constraint
def output_scale_in_range(op: Summing, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """the output's scale must be more than 2**-19 of the larger input's (int16: 2**-14)"""
    if outputs[0].dtype is DType.FLOAT32:
        return True
    return outputs[0].scale > max(o.type.scale for o in operands) * 2.0 ** (1 - op.left_shift(outputs[0]))


class Summing(Binary):
    """What addition, subtraction and squared difference share."""

    headroom: ClassVar[int] = 20  # bits that both operands gain before they are rescaled (TFLite's)
    constraints: ClassVar[tuple[Constraint, ...]] = (output_scale_in_range,)

    def left_shift(self, output: TensorType) -> int:
        """Headroom for operands of the output's element type: int16 ones have 8 bits more, and gain 15."""
        return 15 if output.dtype is DType.INT16 else self.headroom

    def multipliers(self, types: Sequence[TensorType], output: TensorType) -> tuple[tuple[int, int], ...]:
        """(multiplier, shift) of the first operand, of the second and of the result."""
        left_shift = self.left_shift(output)
        twice_max = 2 * max(types[0].scale, types[1].scale)
        return (
            quantize_multiplier(types[0].scale / twice_max),
            quantize_multiplier(types[1].scale / twice_max),
            quantize_multiplier(twice_max / ((1 << left_shift) * output.scale)),
        )

    def aligned(self, x: Array, y: Array, types: Sequence[TensorType], output: TensorType) -> tuple[Array, Array]:
        """Both operands less their zero points, in one scale."""
        first, second, _ = self.multipliers(types, output)
        return (
            requantize((x - types[0].zero_point) << self.left_shift(output), *first),
            requantize((y - types[1].zero_point) << self.left_shift(output), *second),
        )
