"""How ggml chooses scales: try slightly different ones, fit each by weighted least squares, keep the best.

All arrays are (weights of a block, blocks): a sum along axis 0 adds row after row, which is the order of the reference,
so that float32 results are equal.
"""

from __future__ import annotations

import numpy as np

from ...types import Array
from .base import TINY

F = np.float32


def scale_and_minimum(x: Array, w: Array, top: int, first: float, step: float,
                      steps: int) -> tuple[Array, Array, Array]:
    """(scale, minus minimum, codes) with codes 0 to `top` and x ~ scale * code - minus minimum.

    Candidates stretch the range by first + step * i, i = 0 to `steps`; `w` weighs squared errors.
    """
    low, high = np.minimum(x.min(0), F(0)), x.max(0)
    flat = high <= low
    span = np.where(flat, F(1), high - low)
    sum_w, sum_x = w.sum(0), (w * x).sum(0)
    inverse = F(top) / span
    scale, minimum = 1 / inverse, low.copy()
    codes = np.clip(np.rint(inverse * (x - low)), 0, top)
    best = _error(scale, low, codes, x, w)
    for i in range(steps + 1):
        span = np.where(flat, F(1), high - minimum)  # from the best minimum so far, as the reference has it
        inverse = (F(first) + F(step) * F(i) + F(top)) / span
        tried = np.rint(inverse * (x - minimum))
        np.clip(tried, 0, top, out=tried)
        weighed = w * tried
        sum_l, sum_l2, sum_xl = weighed.sum(0), (weighed * tried).sum(0), (weighed * x).sum(0)
        determinant = sum_w * sum_l2 - sum_l * sum_l
        with np.errstate(divide="ignore", invalid="ignore"):
            new_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant
            new_minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant
            above = new_minimum > 0
            new_scale = np.where(above, sum_xl / sum_l2, new_scale)
            new_minimum = np.where(above, F(0), new_minimum)
            error = _error(new_scale, new_minimum, tried, x, w)
            better = (determinant > 0) & (error < best)
        np.copyto(scale, new_scale, where=better)
        np.copyto(minimum, new_minimum, where=better)
        np.copyto(best, error, where=better)
        np.copyto(codes, tried, where=better)
    scale[flat] = 0
    minimum[flat] = low[flat]
    codes[:, flat] = 0
    return scale, -minimum, codes


def signed_scale(x: Array, w: Array, top: int) -> tuple[Array, Array]:
    """(scale, codes) with codes -top to top - 1 and x ~ scale * code: the weight of largest magnitude gets -top."""
    columns = np.arange(x.shape[1])
    largest = x[np.abs(x).argmax(0), columns]
    empty = np.abs(largest) < TINY
    largest = np.where(empty, F(1), largest)
    scale, codes, best = np.zeros_like(largest), np.zeros_like(x), np.zeros_like(largest)
    wx = w * x
    for i in (0, *range(-9, 0), *range(1, 10)):
        inverse = -(F(top) + F(0.1) * F(i)) / largest
        tried = np.clip(np.rint(inverse * x), -top, top - 1)
        sum_lx, sum_l2 = (wx * tried).sum(0), (w * tried * tried).sum(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            new_scale = np.where(sum_l2 > 0, sum_lx / sum_l2, F(0))
        better = (sum_l2 > 0) & (sum_lx * sum_lx > best * sum_l2) if i else np.ones_like(empty)
        np.copyto(scale, new_scale, where=better)
        np.copyto(codes, tried, where=better)
        np.copyto(best, new_scale * sum_lx, where=better)
    scale[empty] = 0
    codes[:, empty] = -top  # stored as 0
    return scale, codes


def positive_scale(x: Array, w: Array, top: int) -> tuple[Array, Array]:
    """(scale, codes) with codes 0 to `top` for x >= 0: the best of nine scales, then one code moved at a time."""
    largest = x.max(0)
    empty = largest < TINY
    largest = np.where(empty, F(1), largest)
    inverse = F(top) / largest
    codes = np.rint(inverse * x)
    difference = x - (1 / inverse) * codes
    best = (w * difference * difference).sum(0)
    for i in (*range(-4, 0), *range(1, 5)):
        new_inverse = (F(0.1) * F(i) + F(top)) / largest
        tried = np.minimum(np.rint(new_inverse * x), top)
        difference = x - (1 / new_inverse) * tried
        error = (w * difference * difference).sum(0)
        better = error < best
        np.copyto(best, error, where=better)
        np.copyto(inverse, new_inverse, where=better)
    codes = np.minimum(np.rint(inverse * x), top)
    wx = w * x
    sum_lx, sum_l2 = (wx * codes).sum(0), (w * codes * codes).sum(0)
    for _ in range(5):
        changed = False
        for i in range(len(x)):
            without_lx, without_l2 = sum_lx - wx[i] * codes[i], sum_l2 - w[i] * codes[i] * codes[i]
            with np.errstate(divide="ignore", invalid="ignore"):
                tried = np.minimum(np.rint(x[i] * without_l2 / without_lx), top)
                new_lx, new_l2 = without_lx + wx[i] * tried, without_l2 + w[i] * tried * tried
                move = (without_lx > 0) & (without_l2 > 0) & (tried != codes[i])
                move &= new_lx * new_lx * sum_l2 > sum_lx * sum_lx * new_l2
            np.copyto(codes[i], tried, where=move)
            np.copyto(sum_lx, new_lx, where=move)
            np.copyto(sum_l2, new_l2, where=move)
            changed |= bool(move.any())
        if not changed:
            break
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where((sum_l2 > 0) & ~empty, sum_lx / sum_l2, F(0))
    codes[:, empty] = 0
    return scale, codes


def _error(scale: Array, minimum: Array, codes: Array, x: Array, w: Array) -> Array:
    difference = scale * codes + minimum - x
    found: Array = (w * (difference * difference)).sum(0)
    return found
