"""Softmax over the last dimension, in integers: exponentials and the reciprocal in fixed point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..fixed_point import INT32_MAX, doubling_high_mul, quantize_multiplier, requantize, rounding_divide_by_pot
from ..types import Array, DType, Quant, Shape, TensorType
from . import _wide
from ._exponential import exp_on_negative, reciprocal_of_one_plus
from .base import Case, Op, Operand, constraint, in_int16, int8

SUM_INTEGER_BITS = 12  # the sum of exponentials is kept in Q12.19
DIFF_INTEGER_BITS = 5  # differences to the maximum are kept in Q5.26
MOST_CLASSES = (1 << SUM_INTEGER_BITS) - 1  # so that the sum cannot overflow


@constraint
def probability_scale(op: Softmax, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """the int8 output of softmax must have scale 1/256 and zero point -128 (int16: 1/32768 and 0)"""
    out = outputs[0]
    wanted = Quant.per_tensor(1 / 256, -128) if out.dtype is DType.INT8 else Quant.per_tensor(_wide.SCALE, 0)
    return out.dtype is DType.FLOAT32 or out.quant == wanted


@constraint
def scale_in_range(op: Softmax, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """beta times the scale of an integer input of softmax must lie between 2**-26 and 2**26"""
    if outputs[0].dtype is DType.FLOAT32:
        return math.isfinite(op.beta)
    return 2.0**-26 < op.beta * operands[0].type.scale < 2.0**26


@constraint
def classes_in_range(op: Softmax, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """softmax of integers takes at most 4095 values in the last dimension"""
    return outputs[0].dtype is DType.FLOAT32 or outputs[0].shape[-1] <= MOST_CLASSES


@dataclass(frozen=True)
class Softmax(Op):
    """exp(beta * x) normalized over the last dimension; (…, C) -> (…, C), scale 1/256 and zero point -128."""

    beta: float = 1.0

    name: ClassVar[str] = "softmax"
    takes_int16: ClassVar[bool] = True
    constraints = (probability_scale, scale_in_range, classes_in_range)
    tflite_code: ClassVar[int] = 25
    tflite_options: ClassVar[str | None] = "SoftmaxOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        return (shapes[0],)

    def exponentials(self, input: TensorType) -> Array:
        """exp(beta * scale * -d) in Q0.31 for the differences d = 0 … 255 to the maximum: (256,) int64.

        Differences beyond the fixed-point range count as 0, as in TFLite.
        """
        real = min(self.beta * input.scale * (1 << (31 - DIFF_INTEGER_BITS)), INT32_MAX)
        multiplier, shift = quantize_multiplier(real)
        radius = ((1 << DIFF_INTEGER_BITS) - 1) * (1 << (31 - DIFF_INTEGER_BITS)) / (1 << shift)
        diff = -np.arange(256, dtype=np.int64)
        inside = diff >= -math.floor(radius)
        scaled = doubling_high_mul(np.where(inside, diff, 0) << shift, multiplier)
        return np.where(inside, exp_on_negative(scaled, DIFF_INTEGER_BITS), 0)

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        x = inputs[0]
        if outputs[0].dtype is DType.FLOAT32:
            e = np.exp(self.beta * (x.astype(np.float64) - x.max(-1, keepdims=True)))
            return ((e / e.sum(-1, keepdims=True)).astype(np.float32),)
        codes = x.astype(np.int64)
        if outputs[0].dtype is DType.INT16:
            return (self._wide_codes(codes, types[0]).astype(np.int16),)
        exps = self.exponentials(types[0])[codes.max(-1, keepdims=True) - codes]
        total = rounding_divide_by_pot(exps, SUM_INTEGER_BITS).sum(-1, keepdims=True)
        bits = np.frompyfunc(int.bit_length, 1, 1)(total).astype(np.int64)
        headroom = 32 - bits
        fraction = (total << headroom) - (1 << 31)  # total = 2**k * (1 + fraction)
        product = doubling_high_mul(reciprocal_of_one_plus(fraction), exps)
        y = rounding_divide_by_pot(product, SUM_INTEGER_BITS - headroom + 31 - 8) - 128
        return (np.clip(y, -128, 127).astype(np.int8),)

    def wide_scaling(self, input: TensorType) -> tuple[int, int]:
        """(multiplier, shift) from differences of int16 codes to steps of 10 / 65535."""
        return quantize_multiplier(input.scale * self.beta / (_wide.EXPONENT_RANGE / 65535))

    @staticmethod
    def wide_tables() -> tuple[Array, Array]:
        """exp over [-10, 0] and 1 / (1 + x) over [0, 1], times 32768: (513,) each."""
        exponentials = _wide.lookup_table(np.exp, -_wide.EXPONENT_RANGE, _wide.EXPONENT_RANGE)
        return exponentials, _wide.lookup_table(lambda x: np.float32(1) / (np.float32(1) + x), 0.0, 1.0)

    def _wide_codes(self, codes: Array, input: TensorType) -> Array:
        exponentials, reciprocals = self.wide_tables()
        scaled = requantize(codes - codes.max(-1, keepdims=True), *self.wide_scaling(input))
        exps = _wide.lookup(exponentials, np.clip(scaled + 32767, -32768, 32767))
        total = exps.sum(-1, keepdims=True)
        bits = np.frompyfunc(int.bit_length, 1, 1)(total).astype(np.int64)
        mantissa = ((total << (31 - bits)) + (1 << 13)) >> 14  # in [2^16, 2^17]: 1 + x
        scale = _wide.lookup(reciprocals, np.clip(mantissa - (1 << 15) - (1 << 16), -32768, 32767))
        result: Array = np.clip((exps * scale + (1 << (bits - 2))) >> (bits - 1), 0, 32767)
        return result

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(float(options["beta"])), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"beta": self.beta}, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, scale, zp, beta in (
            ("ten", (1, 10), 0.1, 3, 1.0),
            ("flat", (1, 12), 0.001, -128, 1.0),
            ("sharp", (1, 7), 0.6, 127, 1.0),
            ("beta", (1, 5), 0.09, 0, 2.0),
            ("rows", (1, 3, 4, 6), 0.05, 10, 1.0),
            ("many", (1, 200), 0.03, -60, 1.0),
            ("very_sharp", (1, 9), 12.0, -1, 1.0),
            ("wide", (1, 511), 0.08, 0, 1.0),  # tflite-micro aborts on 512 equal inputs
            ("sequence", (1, 5, 8), 0.2, -128, 0.5),
        ):
            case = Case(label, cls(beta), (Operand(int8(shape, scale, zp)),), (int8(shape, 1 / 256, -128),))
            yield from (case, in_int16(case))
