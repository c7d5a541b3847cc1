"""Tables and constants that linear kernels share: channel records, bounds of accumulators, output constants."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..errors import UnsupportedError
from ..fixed_point import INT32_MAX, INT32_MIN
from ..ops._accumulate import channel_multipliers
from ..ops.base import Activation, Operand
from ..types import Array, TensorType
from ._rounding import single
from .base import Struct, Table

FAST_LIMIT = 1 << 30  # accumulators below it take the short way to an output code


class Rounding(enum.Enum):
    """How accumulators become codes; the values are those of core.h."""

    SINGLE = 0
    DOUBLE = 1
    GENERAL = 2


class Channels(NamedTuple):
    """What linear kernels need for their outputs."""

    table: Table
    output: Struct
    bias: Array  # as in the table: (O,) int64


def folded_bias(operands: Sequence[Operand], weights: Array) -> Array:
    """bias - zero * sum(weights) per channel, for weights (O, depth): int64 (O,)."""
    bias = operands[2].data if len(operands) > 2 else None
    total = np.zeros(len(weights), np.int64) if bias is None else bias.astype(np.int64)
    folded: Array = total - operands[0].type.zero_point * weights.astype(np.int64).sum(axis=1)
    return folded


def accumulator_bounds(weights: Array, bias: Array) -> tuple[Array, Array]:
    """Least and largest accumulator per channel over all int8 inputs, for weights (O, depth)."""
    w = weights.astype(np.int64)
    positive, negative = np.maximum(w, 0).sum(axis=1), np.minimum(w, 0).sum(axis=1)
    return bias + 127 * negative - 128 * positive, bias + 127 * positive - 128 * negative


def channel_table(operands: Sequence[Operand], output: TensorType, weights: Array, activation: Activation) -> Channels:
    """The `ratti_channel` records and the `ratti_output` constants for weights (O, depth).

    One rounding where it is proven to give the same codes, two otherwise (`_rounding`).
    """
    bias = folded_bias(operands, weights)
    multiplier, shift = channel_multipliers(operands[0].type, operands[1].type, output)
    multiplier, right = np.broadcast_to(multiplier, bias.shape), np.broadcast_to(-shift, bias.shape)
    low, high = accumulator_bounds(weights, bias)
    if low.min() <= INT32_MIN or high.max() >= INT32_MAX:
        raise UnsupportedError(
            f"accumulators of a layer with {len(bias)} outputs leave int32: its biases are too large"
        )
    rounding, adjust = Rounding.DOUBLE, right
    if max(-low.min(), high.max()) >= FAST_LIMIT or right.min() < 1:
        rounding = Rounding.GENERAL
    else:
        found = single(multiplier, right, low, high, output.zero_point, activation.code_range(output))
        if found is not None:
            rounding, bias, multiplier, adjust = Rounding.SINGLE, bias + found.bias, found.multiplier, found.offset
    table = Table("channels", "ratti_channel", np.stack([bias, multiplier, adjust], axis=1))
    return Channels(table, output_struct(output, activation, rounding), bias)


def wide_channels(operands: Sequence[Operand], output: TensorType, short: bool = False) -> Table:
    """The `ratti_wide_channel` records of a layer with int16 activations; where its sums are `short`, multipliers have
    32 bits and shifts are as those of `ratti_channel`.
    """
    multiplier, shift = channel_multipliers(operands[0].type, operands[1].type, output)
    factor, right = multiplier, -shift
    if not short:
        factor, right = np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF), 15 - shift
    count = output.shape[-1]
    bias = operands[2].data if len(operands) > 2 else None
    columns = (np.zeros(count, np.int64) if bias is None else bias, factor, right)
    return Table("channels", "ratti_wide_channel", np.stack([np.broadcast_to(c, count) for c in columns], axis=1))


def output_struct(output: TensorType, activation: Activation, rounding: Rounding) -> Struct:
    """The `ratti_output` constants."""
    low, high = activation.code_range(output)
    return "ratti_output", {"zero": output.zero_point, "low": low, "high": high, "rounding": rounding.value}


def in_tiles(rows: Array, size: int) -> Array:
    """`rows` with rows of zeros behind them, up to a multiple of `size`: for kernels that read whole tiles."""
    return np.pad(rows, ((0, -len(rows) % size), *((0, 0) for _ in rows.shape[1:])))
