"""What Q4_K and Q5_K share: 256 weights in eight blocks of 32, x ~ d * scale * code - dmin * minimum, with 6-bit scales
and minimums under two float16 factors.
"""

from __future__ import annotations

import numpy as np

from ...types import Array
from ._search import positive_scale, scale_and_minimum
from .base import half, unhalf

SUPER, SUB = 256, 32
HEAD_BYTES = 16  # d, dmin and the twelve bytes of scales
F = np.float32


def encode(blocks: Array, importance: Array | None, top: int, search: tuple[float, float, int]) -> tuple[Array, Array]:
    """(the head (n, 16) uint8, codes (n, 256) uint8); `search` is for blocks without importance."""
    x = np.ascontiguousarray(blocks.reshape(-1, SUB).T)  # (32, 8n)
    if importance is None:
        spread = np.sqrt((x * x).sum(0) / F(SUB))
        w = spread + np.abs(x)
        scale, minimum, codes = scale_and_minimum(x, w, top, *search)
        d, scales = _by_largest(scale.reshape(-1, 8))
        m, minimums = _by_largest(minimum.reshape(-1, 8))
    else:
        w = np.ascontiguousarray(importance.reshape(-1, SUB).T)
        scale, minimum, codes = scale_and_minimum(x, w, top, -0.9, 0.05, 36)
        each = np.ascontiguousarray(w.sum(0).reshape(-1, 8).T)
        d, s = positive_scale(np.ascontiguousarray(scale.reshape(-1, 8).T), each, 63)
        m, t = positive_scale(np.ascontiguousarray(minimum.reshape(-1, 8).T), each, 63)
        scales, minimums = s.T.astype(np.uint8), t.T.astype(np.uint8)
    step = (d.astype("<f2").astype(F)[:, None] * scales).reshape(-1)
    offset = (m.astype("<f2").astype(F)[:, None] * minimums).reshape(-1)
    live = step != 0  # a block whose scale rounds to zero keeps the codes of the search
    final = np.clip(np.rint((x + offset) / np.where(live, step, F(1))), 0, top)
    np.copyto(codes, final, where=live)
    head = np.concatenate((half(d), half(m), _pack_scales(scales, minimums)), 1)
    return head, codes.T.astype(np.uint8).reshape(-1, SUPER)


def decode(head: Array, codes: Array) -> Array:
    """float32 (n, 256)."""
    scales, minimums = _unpack_scales(head[:, 4:16])
    step = unhalf(head[:, :2]) * scales
    offset = unhalf(head[:, 2:4]) * minimums
    found: Array = step[..., None] * codes.reshape(-1, 8, SUB) - offset[..., None]
    return found.reshape(-1, SUPER)


def _by_largest(values: Array) -> tuple[Array, Array]:
    """(factor, 6-bit codes (n, 8)): the largest of eight gets 63."""
    largest = np.maximum(values.max(1), F(0))
    inverse = np.divide(F(63), largest, out=np.zeros_like(largest), where=largest > 0)
    codes = np.minimum(np.rint(inverse[:, None] * values).astype(np.int32).astype(np.uint8), 63)
    return largest / F(63), codes


def _pack_scales(s: Array, m: Array) -> Array:
    """Twelve bytes: six low bits of the first four of each; then the last four's low nibbles, their high bits on top of
    the first eight bytes.
    """
    high = np.concatenate((s[:, 4:] >> 4, m[:, 4:] >> 4), 1) << 6
    return np.concatenate((np.concatenate((s[:, :4], m[:, :4]), 1) | high, s[:, 4:] & 15 | (m[:, 4:] & 15) << 4), 1)


def _unpack_scales(data: Array) -> tuple[Array, Array]:
    first, last = data[:, :8], data[:, 8:]
    s = np.concatenate((first[:, :4] & 63, last & 15 | first[:, :4] >> 6 << 4), 1)
    m = np.concatenate((first[:, 4:] & 63, last >> 4 | first[:, 4:] >> 6 << 4), 1)
    return s.astype(F), m.astype(F)


def pairs(codes: Array) -> Array:
    """Nibbles (n, 256) as 128 bytes: of each 64, the first 32 low, the second 32 high."""
    four = codes.reshape(-1, 4, 2, SUB)
    packed: Array = four[:, :, 0] | four[:, :, 1] << 4
    return packed.reshape(-1, 128)


def from_pairs(data: Array) -> Array:
    four = data.reshape(-1, 4, SUB)
    return np.stack((four & 15, four >> 4), 2).reshape(-1, SUPER)
