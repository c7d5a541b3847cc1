"""Hard swish: x times a clamped line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..fixed_point import quantize_multiplier, rounding_divide_by_pot
from ..types import Array, DType, TensorType
from ._unary import Unary
from .base import Case, Op, Operand, constraint

HIGH_BITS = 7  # that the input's codes gain


@constraint
def scale_in_range(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """the int8 input's scale must be below 128 times that of the output, and the scale of the output positive"""
    if outputs[0].dtype is DType.FLOAT32:
        return True
    to_output, to_reluish = HardSwish.multipliers(operands[0].type, outputs[0])
    return -15 <= to_output[1] <= 0 and -15 <= to_reluish[1] <= 15


@dataclass(frozen=True)
class HardSwish(Unary):
    """x * clamp(x + 3, 0, 6) / 6, in the 16-bit arithmetic of TFLite's reference."""

    name: ClassVar[str] = "hard_swish"
    tflite_code: ClassVar[int] = 117
    constraints = (scale_in_range,)

    def real(self, x: Array) -> Array:
        y: Array = x * np.clip(x + 3, 0, 6) / 6
        return y

    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        to_output, to_reluish = self.multipliers(input, output)
        x = (codes - input.zero_point) << HIGH_BITS
        preshift = _high_mul(x, to_output[0], 1 << 14)
        y, shift = x, to_reluish[1]
        if shift > 0:
            y = _saturate(y << (shift - 1))
        y = _high_mul(y, to_reluish[0], 1 << 14)
        if shift > 0:
            y = _saturate(y << 1)
        elif shift < 0:
            y = rounding_divide_by_pot(y, -shift)
        y = (y + (1 << 15)) >> 1  # from [-1, 1) to [0, 1)
        return rounding_divide_by_pot(_high_mul(y, preshift, 0), -to_output[1]) + output.zero_point

    @staticmethod
    def multipliers(input: TensorType, output: TensorType) -> tuple[tuple[int, int], tuple[int, int]]:
        """(16-bit multiplier, shift) to the output's scale, and to that of the factor between 0 and 1."""
        fine = np.float32(1 / 128) * np.float32(input.scale)
        return _short(fine / np.float32(output.scale)), _short(fine / np.float32(3 / 32768))

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.unary_cases(
            (0.05, -10, 0.04, -118),
            (0.05, 3, 0.0301, -110),
            (0.013, 100, 0.01, -20),
            (0.1, -128, 0.1, -128),
            (0.2, 0, 0.5, 0),
        )


def _short(real: np.float32) -> tuple[int, int]:
    """`quantize_multiplier` with a multiplier of 16 bits."""
    multiplier, shift = quantize_multiplier(float(real))
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1), shift


def _saturate(x: Array) -> Array:
    clipped: Array = np.clip(x, -(1 << 15), (1 << 15) - 1)
    return clipped


def _high_mul(a: Array, b: Array | int, half: int) -> Array:
    """a * b / 2**15 toward zero, or to the nearest (ties upward) where `half` is 2**14; saturated to 16 bits."""
    product = np.asarray(a, np.int64) * b
    if half:
        product = product + np.where(product >= 0, half, 1 - half)
    return _saturate(np.sign(product) * (np.abs(product) >> 15))
