"""How near a result may come to the operand that it is computed from, derived from the order of reads and stores.

Source: Blacker, Bridges & Hadfield 2020, "Diagonal Memory Optimisation for Machine Learning on Micro-controllers".
Stores run upward through the result, and what is still to be read moves upward through the operand. After each store

    result + bytes stored so far  <=  operand + first byte that is still to be read

must hold; the least distance from the result's begin to the operand's is the largest difference of the two sides.
"""

from __future__ import annotations

import numpy as np

from ..types import Array

NEVER = 1 << 40  # the first byte of what is not read


def first_bytes(
    source: tuple[int, ...],
    result: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, ...],
    dilation: tuple[int, int] = (1, 1),
) -> Array:
    """The first byte that the window of each pixel reads: (out_h * out_w,), for maps (1, H, W, C).

    padding: top and left at 0 and 2.
    """
    (_, in_h, in_w, in_c), (_, out_h, out_w, _) = source, result
    rows = _first(out_h, in_h, kernel[0], stride[0], padding[0], dilation[0])
    columns = _first(out_w, in_w, kernel[1], stride[1], padding[2], dilation[1])
    begins = (rows[:, None] * in_w + columns) * in_c
    nothing = (rows[:, None] == NEVER) | (columns == NEVER)
    found: Array = np.where(nothing, NEVER, begins).ravel()
    return found


def _first(out: int, size: int, taps: int, stride: int, pad: int, dilation: int) -> Array:
    start = np.arange(out, dtype=np.int64) * stride - pad
    skipped = -(np.minimum(start, 0) // dilation)
    position = start + skipped * dilation
    found: Array = np.where((skipped < taps) & (position < size), position, NEVER)
    return found


def staged(begins: Array, ends: Array, out_c: int) -> int | None:
    """The distance where pixels are read in groups, each read whole before its first store.

    begins: by pixel; ends: by group, the pixel behind its last. None: nothing is read after the first store.
    """
    later = _least_from(begins)[ends[:-1]]
    return _largest(ends[:-1] * out_c - later)


def staged_in_steps(begins: Array, steps: Array, out_c: int) -> int | None:
    """The distance where pixels are computed in steps that need not follow memory: read whole, then stored.

    begins: by pixel; steps: by pixel, the number of its step, from 0.
    """
    count = int(steps.max()) + 1
    ends, first = np.zeros(count, np.int64), np.full(count, NEVER)
    np.maximum.at(ends, steps, (np.arange(len(steps), dtype=np.int64) + 1) * out_c)
    np.minimum.at(first, steps, begins)
    return _largest(np.maximum.accumulate(ends)[:-1] - _least_from(first)[1:])


def in_turns(begins: Array, ends: Array, out_c: int) -> int | None:
    """The distance where a pixel is computed together with those behind it, in any order of reads and stores.

    begins: by pixel; ends: by pixel, the one behind the last that may be stored before it is read.
    """
    return _largest(ends * out_c - _least_from(begins))


def stored_singly(begins: Array, first: Array) -> int | None:
    """The distance where each output channel of a pixel is read and stored before the next one is read.

    first: by output channel, the first byte of a pixel that it reads.
    """
    pixels, out_c = len(begins), len(first)
    own = np.append(_least_from(first)[1:], NEVER)
    others = np.append(_least_from(begins)[1:], NEVER) + first.min()
    needed = np.minimum(begins[:, None] + own, others[:, None])
    written = np.arange(pixels)[:, None] * out_c + np.arange(1, out_c + 1)
    return _largest(written - needed)


def copied(begins: Array, ends: Array, own: Array) -> int | None:
    """The distance where stretches are copied one after the other, each read whole before it is stored.

    begins: by stretch, its first byte in its operand; ends: behind its last byte in the result; own: those that this
    operand holds. What is stored need not follow memory.
    """
    stored = np.maximum.accumulate(ends)[:-1]
    return _largest((stored - begins[1:])[own[1:]])


def groups_of(pixels: int, size: int) -> Array:
    """Where groups of `size` pixels end, and then single pixels."""
    full = pixels // size * size
    return np.concatenate([np.arange(size, full + 1, size), np.arange(full + 1, pixels + 1)])


def _least_from(values: Array) -> Array:
    """The least of each value and those behind it."""
    least: Array = np.minimum.accumulate(values[::-1])[::-1]
    return least


def _largest(differences: Array) -> int | None:
    most = int(differences.max(initial=-NEVER))
    return most if most > -NEVER // 2 else None
