"""From int accumulators to int8 outputs: what convolutions and fully connected layers share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..fixed_point import INT32_MAX, quantize_multipliers, requantize, requantize_wide
from ..types import Array, DType, TensorType
from .base import Activation, Constraint, Op, Operand, constraint


def channel_multipliers(input: TensorType, weight: TensorType, output: TensorType) -> tuple[Array, Array]:
    """(multiplier, shift) of every output channel, or of the one scale that all share.

    TFLite: input_scale * weight_scale / output_scale in double precision.
    """
    assert weight.quant is not None
    return quantize_multipliers(input.scale * np.asarray(weight.quant.scale, np.float64) / output.scale)


@constraint
def weights_constant(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """weights and bias must be constants"""
    return all(o.data is not None for o in operands[1:])


@constraint
def bias_per_output(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """the bias must have one value for each output channel"""
    return len(operands) < 3 or operands[2].type.shape == (outputs[0].shape[-1],)


@constraint
def weights_symmetric(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """int8 weights must be symmetric (zero point 0)"""
    quant = operands[1].type.quant
    return operands[0].type.dtype is DType.FLOAT32 or (quant is not None and not any(quant.zero_point))


@constraint
def types_match(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """input and output must be int8 with int8 or int4 weights (bias int32), int16 with int8 weights (bias int64;
    convolutions: or int32), or all float32"""
    kinds = [operands[0].type.dtype, operands[1].type.dtype, outputs[0].dtype]
    bias = operands[2].type.dtype if len(operands) > 2 else None
    if kinds == [DType.FLOAT32] * 3:
        return bias in (None, DType.FLOAT32)
    if op.takes_int16 and kinds == [DType.INT16, DType.INT8, DType.INT16]:
        return bias in (None, DType.INT64) or (bias is DType.INT32 and isinstance(op, LinearOp) and op.short_bias)
    return kinds in ([DType.INT8] * 3, [DType.INT8, DType.INT4, DType.INT8]) and bias in (None, DType.INT32)


@constraint
def scales_per_output(op: LinearOp, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """weights must have one scale, or one for each output channel"""
    quant = operands[1].type.quant
    return quant is None or quant.axis in (None, op.output_axis)


@constraint
def sums_in_range(op: LinearOp, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """sums of int16 activations with an int32 bias must fit int32 for every input"""
    w = operands[1].data
    if w is None or not op.sums_are_short([o.type for o in operands], outputs[0]):
        return True
    others = tuple(a for a in range(w.ndim) if a != op.output_axis)
    bias = operands[2].data
    most = 32768 * np.abs(w.astype(np.int64)).sum(axis=others) + (0 if bias is None else np.abs(bias.astype(np.int64)))
    return bool(most.max(initial=0) <= INT32_MAX)


class LinearOp(Op):
    """An op that multiplies its input with constant weights, adds an optional bias, and may hold an activation."""

    activation: Activation
    output_axis: ClassVar[int] = 0  # of the weights
    short_bias: ClassVar[bool] = False  # whether int16 activations may have an int32 bias

    operand_names: ClassVar[tuple[str, ...]] = ("input", "weight", "bias")
    optional_operands: ClassVar[int] = 1
    constraints: ClassVar[tuple[Constraint, ...]] = (
        types_match,
        weights_constant,
        bias_per_output,
        weights_symmetric,
        scales_per_output,
        sums_in_range,
    )

    @abstractmethod
    def accumulate(self, x: Array, w: Array) -> Array:
        """Sums of products of the input (less its zero point) and the weights, both float: (…, channels)."""

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        (x, w), out = inputs[:2], outputs[0]
        bias = inputs[2] if len(inputs) > 2 else 0
        if out.dtype is DType.FLOAT32:
            sums = self.accumulate(x.astype(np.float64), w.astype(np.float64)) + bias
            return (self.activation.apply(sums).reshape(out.shape).astype(np.float32),)
        if out.dtype is DType.INT16:
            wide = self.accumulate(x.astype(np.float64), w.astype(np.float64)).astype(np.int64) + bias
            scale = requantize if self.sums_are_short(types, out) else requantize_wide
            scaled = scale(wide, *channel_multipliers(types[0], types[1], out))
            return (np.clip(scaled, *self.activation.code_range(out)).reshape(out.shape).astype(np.int16),)
        dtype = self._exact_float(w)
        centered = (x.astype(np.int16) - types[0].zero_point).astype(dtype)
        acc = self.accumulate(centered, w.astype(dtype)).astype(np.int64) + bias
        codes = requantize(acc, *channel_multipliers(types[0], types[1], out)) + out.zero_point
        return (np.clip(codes, *self.activation.code_range(out)).reshape(out.shape).astype(out.dtype.numpy),)

    def sums_are_short(self, types: Sequence[TensorType], output: TensorType) -> bool:
        """Whether int16 activations are summed in int32, and scaled as int8 ones are."""
        return output.dtype is DType.INT16 and [t.dtype for t in types[2:]] == [DType.INT32]

    def _exact_float(self, w: Array) -> type[np.float32] | type[np.float64]:
        """A float type in which the sums of products of int8 codes are exact: float32 holds integers to 2**24."""
        others = tuple(a for a in range(w.ndim) if a != self.output_axis)
        return np.float32 if 255 * np.abs(w.astype(np.int64)).sum(axis=others).max() < 1 << 24 else np.float64


def activation_of(options: Mapping[str, Any]) -> Activation:
    """The fused activation of a TFLite options table; ValueError for TANH and SIGN_BIT."""
    code = options["fused_activation_function"]
    try:
        return Activation(code)
    except ValueError:
        raise ValueError(f"fused activation {code} (NONE, RELU, RELU_N1_TO_1 and RELU6 are supported)") from None
