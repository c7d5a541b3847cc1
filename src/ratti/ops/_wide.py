"""Curves of int16 codes, as TFLite computes them: tables with straight lines between their entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..types import Array, TensorType

SCALE = 1 / 32768  # of what curves give: 1.0 is one more than the largest code
SIGMOID_STEPS = 24  # entries for each unit of the argument; the last is that of 255 / 24
LOOKUP_STEPS = 512  # of a table over the whole range of int16
EXPONENT_RANGE = 10.0  # exp(-10) counts as nothing


def sigmoid_table() -> Array:
    """65536 * sigmoid(k / 24) for k = 0 … 255, raised by half of what the line to the next entry misses in the middle:
    (256,) int64. The last entry is the largest code.
    """
    places = np.arange(256)
    at, middle, behind = (65536 / (1 + np.exp(-(places + d) / SIGMOID_STEPS)) for d in (0.0, 0.5, 1.0))
    table: Array = np.rint(at + (middle - (at + behind) / 2) / 2).astype(np.int64)
    table[-1] = 65535
    return table


def argument_scaling(input: TensorType) -> tuple[int, int]:
    """(multiplier, right shift) from codes to arguments in units of 1 / (24 * 512)."""
    real, shift = input.scale * 512 * SIGMOID_STEPS, 0
    while real <= 32767 / 2 and shift <= 30:
        real, shift = real * 2, shift + 1
    return int(real), shift


@dataclass(frozen=True)
class Sigmoid:
    """From the table to int16 codes: `bits` of the argument lie between two entries; behind the last entry the value is
    `end`. What is negative becomes (negative - value) >> right, all else (positive + value) >> right.
    """

    bits: int
    end: int
    positive: int
    negative: int
    right: int

    def codes(self, codes: Array, input: TensorType) -> Array:
        multiplier, shift = argument_scaling(input)
        x = (codes * multiplier + ((1 << shift) >> 1)) >> shift
        index, rest = np.abs(x) >> self.bits, np.abs(x) & ((1 << self.bits) - 1)
        table, inside = sigmoid_table(), np.minimum(index, 254)
        line = (table[inside] << self.bits) + rest * (table[inside + 1] - table[inside])
        value = np.where(index < 255, line, self.end)
        return np.where(x < 0, self.negative - value, self.positive + value) >> self.right


LOGISTIC = Sigmoid(bits=9, end=0x7FFF << 10, positive=512, negative=(1 << 25) + 511, right=10)
TANH = Sigmoid(bits=8, end=0xFFFF << 8, positive=128 - (1 << 23), negative=127 + (1 << 23), right=8)


def lookup_table(function: Callable[[Array], Array], least: float, span: float) -> Array:
    """32768 * function over [least, least + span] at 513 places: (513,) int64.

    Between two places a line is drawn; half of its error in the middle is taken off the entry. In float32, as TFLite.
    """
    single = np.float32
    step = single(span) / single(LOOKUP_STEPS)
    places = single(least) + np.arange(LOOKUP_STEPS, dtype=np.float32) * step
    following = single(least) + np.arange(1, LOOKUP_STEPS + 1, dtype=np.float32) * step
    gain = single(32768)
    at, middle, behind = (function(p) * gain for p in (places, places + step / single(2), following))
    line = _round((behind + _round(at)) / single(2))
    values = _round(at) - _round((line - _round(middle)) / single(2))
    last = _round(function(np.array([least + span], np.float32)) * gain)
    table: Array = np.clip(np.concatenate([values, last]), -32768, 32767).astype(np.int64)
    return table


def lookup(table: Array, codes: Array) -> Array:
    """The line through the two entries around each int16 code."""
    index, rest = 256 + (codes >> 7), codes & 127
    found: Array = table[index] + (((table[index + 1] - table[index]) * rest + 64) >> 7)
    return found


def _round(x: Array) -> Array:
    rounded: Array = np.copysign(np.floor(np.abs(x) + np.float32(0.5)), x)
    return rounded
