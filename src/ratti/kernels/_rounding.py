"""From accumulators to output codes with one multiplication: constants searched for, and proven by thresholds.

TFLite rounds twice; both steps are monotone, so a channel is described by its thresholds: the smallest accumulator
T(c) that gives at least the code c. A single step, floor((acc + b) * M / 2**32) + C, is monotone too, so it is the
same function wherever its thresholds are the same. With t = 2**32 / M that means

    C * t + b  in  [max(c * t - T(c)), min(c * t - T(c)) + 1)   over the thresholds that accumulators can reach.

M follows from the scale up to a few units; C is tried outward from the zero point until the fraction of C * t falls
into the interval; b is what remains. Above the zero point one rounding moves all thresholds alike, so layers with ReLU
nearly always have a solution; below it, ties away from zero put a kink at 0, and others nearly never have.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..types import Array

NEAR = (0, *(s * n for n in range(1, 33) for s in (1, -1)))  # what is tried around the multiplier
REACH = 2048  # how far C is tried from the zero point
MARGIN = 1e-6  # float64 against exact thresholds; what is found is checked in integers
MOST_SHIFT = 22  # keeps the integers below 2**63


class Single(NamedTuple):
    """Constants by channel, int64: `bias` is to be added to the layer's."""

    multiplier: Array
    bias: Array
    offset: Array


def single(
    multiplier: Array, shift: Array, low: Array, high: Array, zero: int, codes: tuple[int, int]
) -> Single | None:
    """Constants that equal double rounding for all accumulators in [low, high], or None.

    multiplier, shift (to the right, at least 1), low, high: by channel. `codes` are the least and largest code of the
    output.
    """
    if shift.max(initial=1) > MOST_SHIFT or shift.min(initial=1) < 1:
        return None
    if codes[0] == codes[1]:  # the clamp alone decides
        return Single(np.ones_like(low), np.zeros_like(low), np.full_like(low, zero))
    code = np.arange(codes[0] + 1, codes[1] + 1)[None, :]
    exact = thresholds(code - zero, multiplier[:, None], shift[:, None])
    reached = (exact > low[:, None]) & (exact <= high[:, None])
    above = code > zero
    if ((reached & above).any(axis=1) & (reached & ~above).any(axis=1)).any():
        return None  # the kink at the zero point
    base = np.maximum((2 * multiplier + (np.int64(1) << shift) // 2) >> shift, 1)
    found = Single(base.copy(), np.zeros_like(base), np.full_like(base, zero))
    open_ = np.ones(len(base), bool)
    for near in NEAR:
        rows = np.nonzero(open_)[0]
        if not len(rows):
            break
        m = base[rows] + near
        tried = _try(np.maximum(m, 1), exact[rows], reached[rows], code, zero)
        good = _proven(tried, exact[rows], reached[rows], code, low[rows], high[rows])
        for target, values in zip(found, tried, strict=True):
            target[rows[good]] = values[good]
        open_[rows[good]] = False
    return None if open_.any() else found


def thresholds(k: Array, multiplier: Array, shift: Array) -> Array:
    """Least accumulator whose double rounding gives at least k."""
    # The second rounding: ties away from zero. x >= k * 2**shift - half for k > 0, one more below.
    step = (k << shift) - (np.int64(1) << (shift - 1)) + (k <= 0)
    # The first: floor((acc * multiplier + 2**30) / 2**31) >= step.
    return -((-(step << 31) + (1 << 30)) // multiplier)


def _try(m: Array, exact: Array, reached: Array, code: Array, zero: int) -> Single:
    """The C nearest to the zero point that the interval allows, for one multiplier per channel."""
    t = (2.0**32 / m)[:, None]
    distance = code * t - exact
    least = np.where(reached, distance, -np.inf).max(axis=1, keepdims=True)
    most = np.where(reached, distance, np.inf).min(axis=1, keepdims=True) + 1
    free = ~reached.any(axis=1, keepdims=True)
    least, most = np.where(free, 0, least), np.where(free, 1, most)
    steps = np.arange(1, REACH)
    offsets = zero + np.concatenate([[0], np.stack([-steps, steps], 1).ravel()])[None, :]
    bias = np.ceil(least - offsets * t + MARGIN)
    fits = offsets * t + bias < most - MARGIN
    first = fits.argmax(axis=1)[:, None]
    chosen = np.take_along_axis(bias, first, 1)[:, 0].astype(np.int64)
    return Single(m, chosen, np.take_along_axis(np.broadcast_to(offsets, bias.shape), first, 1)[:, 0])


def _proven(tried: Single, exact: Array, reached: Array, code: Array, low: Array, high: Array) -> Array:
    """Channels where every reached threshold is met in exact integers, and no other is crossed."""
    m, bias, offset = (v[:, None] for v in tried)

    def step(acc: Array) -> Array:
        return ((acc + bias) * m >> 32) + offset

    meets = np.where(reached, (step(exact) >= code) & (step(exact - 1) < code), True).all(axis=1)
    # Codes whose thresholds lie beyond the range must not be reached by the single step either.
    below, above = exact <= low[:, None], exact > high[:, None]
    ends = np.where(below, step(low[:, None]) >= code, True) & np.where(above, step(high[:, None]) < code, True)
    fits = (np.abs(low + tried.bias) < 1 << 31) & (np.abs(high + tried.bias) < 1 << 31) & (tried.multiplier < 1 << 31)
    proven: Array = meets & ends.all(axis=1) & fits
    return proven
