"""Tables and constants that linear kernels share: channel records, bounds of accumulators, output constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import UnsupportedError
from ..fixed_point import INT32_MAX, INT32_MIN
from ..ops._accumulate import channel_multipliers
from ..ops.base import Activation, Operand
from ..types import Array, TensorType
from .base import Struct, Table

FAST_LIMIT = 1 << 30  # accumulators below it take the short way to an output code


def folded_bias(operands: Sequence[Operand], weights: Array) -> Array:
    """bias - zero * sum(weights) per channel, for weights (O, depth): int64 (O,)."""
    bias = operands[2].data if len(operands) > 2 else None
    total = np.zeros(len(weights), np.int64) if bias is None else bias.astype(np.int64)
    return total - operands[0].type.zero_point * weights.astype(np.int64).sum(axis=1)


def accumulator_bounds(weights: Array, bias: Array) -> tuple[Array, Array]:
    """Least and largest accumulator per channel over all int8 inputs, for weights (O, depth)."""
    w = weights.astype(np.int64)
    positive, negative = np.maximum(w, 0).sum(axis=1), np.minimum(w, 0).sum(axis=1)
    return bias + 127 * negative - 128 * positive, bias + 127 * positive - 128 * negative


def channel_table(operands: Sequence[Operand], output: TensorType, weights: Array) -> tuple[Table, bool]:
    """The `ratti_channel` records for weights (O, depth), and whether they need the general rescaling."""
    bias = folded_bias(operands, weights)
    multiplier, shift = channel_multipliers(operands[0].type, operands[1].type, output)
    right = np.broadcast_to(-shift, bias.shape)
    low, high = accumulator_bounds(weights, bias)
    if low.min() <= INT32_MIN or high.max() >= INT32_MAX:
        raise UnsupportedError(f"accumulators of a layer with {len(bias)} outputs leave int32: its biases are too large")
    general = bool(max(-low.min(), high.max()) >= FAST_LIMIT or right.min() < 1)
    records = np.stack([bias, np.broadcast_to(multiplier, bias.shape), right], axis=1)
    return Table("channels", "ratti_channel", records), general


def output_struct(output: TensorType, activation: Activation, general: bool) -> Struct:
    """The `ratti_output` constants."""
    low, high = activation.code_range(output)
    return "ratti_output", {"zero": output.zero_point, "low": low, "high": high, "general": int(general)}

