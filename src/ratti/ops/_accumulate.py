"""From int accumulators to int8 outputs: what convolutions and fully connected layers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..fixed_point import quantize_multipliers, requantize
from ..types import Array, DType, TensorType
from .base import Activation, Op, Operand, constraint

Linear = Callable[[Array, Array], Array]  # (input, weight), both float64 -> accumulators, channels last


def channel_multipliers(input: TensorType, weight: TensorType, output: TensorType) -> tuple[Array, Array]:
    """(multiplier, shift) of every output channel, or of the one scale that all share.

    TFLite: input_scale * weight_scale / output_scale in double precision.
    """
    assert weight.quant is not None
    return quantize_multipliers(input.scale * np.asarray(weight.quant.scale, np.float64) / output.scale)


def evaluate_linear(
    linear: Linear,
    activation: Activation,
    inputs: Sequence[Array],
    types: Sequence[TensorType],
    output: TensorType,
) -> Array:
    """A linear op on (input, weight[, bias]) with its fused activation.

    `linear` sees the input less its zero point. Sums of products of int8 codes are exact in float64.
    """
    x, w = inputs[0], inputs[1].astype(np.float64)
    bias = inputs[2] if len(inputs) > 2 else 0
    if output.dtype is DType.FLOAT32:
        return activation.apply(linear(x.astype(np.float64), w) + bias).astype(np.float32)
    acc = linear(x.astype(np.float64) - types[0].zero_point, w).astype(np.int64) + bias
    multiplier, shift = channel_multipliers(types[0], types[1], output)
    codes = requantize(acc, multiplier, shift) + output.zero_point
    return np.clip(codes, *activation.code_range(output)).astype(output.dtype.numpy)


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
    """input, weights and output must all be int8 (bias int32) or all float32"""
    kinds = [operands[0].type.dtype, operands[1].type.dtype, outputs[0].dtype]
    bias = operands[2].type.dtype if len(operands) > 2 else None
    if kinds == [DType.FLOAT32] * 3:
        return bias in (None, DType.FLOAT32)
    return kinds == [DType.INT8] * 3 and bias in (None, DType.INT32)


@constraint
def scales_per_output(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """weights must have one scale, or one for each output channel"""
    quant = operands[1].type.quant
    return quant is None or quant.axis is None or len(quant.scale) == outputs[0].shape[-1] and _along_outputs(op, quant)


def _along_outputs(op: Op, quant: Quant) -> bool:
    return quant.axis == op.output_axis  # type: ignore[attr-defined]


LINEAR_CONSTRAINTS = (types_match, weights_constant, bias_per_output, weights_symmetric, scales_per_output)


def activation_of(options: Mapping[str, Any]) -> Activation:
    """The fused activation of a TFLite options table; ValueError for TANH and SIGN_BIT."""
    code = options["fused_activation_function"]
    try:
        return Activation(code)
    except ValueError:
        raise ValueError(f"fused activation {code} (NONE, RELU, RELU_N1_TO_1 and RELU6 are supported)") from None
