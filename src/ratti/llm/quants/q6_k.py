"""Q6_K: 256 weights in 210 bytes, 6.56 bits a weight: sixteen blocks of 16, x ~ d * scale * code with int8 scales."""

from __future__ import annotations

import numpy as np

from ...types import Array
from ._search import signed_scale
from .base import TINY, BlockType, half, share, unhalf

SUPER, SUB = 256, 16
ZERO = 32
F = np.float32


def _encode(blocks: Array, importance: Array | None) -> Array:
    x = np.ascontiguousarray(blocks.reshape(-1, SUB).T)  # (16, 16n)
    w = x * x if importance is None else np.ascontiguousarray(importance.reshape(-1, SUB).T)
    scale, codes = signed_scale(x, w, ZERO)
    scale = scale.reshape(-1, 16)
    largest = scale[np.arange(len(scale)), np.abs(scale).argmax(1)]
    empty = np.abs(largest) < TINY
    inverse = F(-128) / np.where(empty, F(1), largest)
    d = np.where(empty, F(0), 1 / inverse)
    scales = np.minimum(np.rint(inverse[:, None] * scale), 127)
    step = (d.astype("<f2").astype(F)[:, None] * scales).reshape(-1)
    live = step != 0
    final = np.clip(np.rint(x / np.where(live, step, F(1))), -ZERO, ZERO - 1)
    np.copyto(codes, final, where=live)
    stored = (codes + ZERO).T.astype(np.uint8).reshape(-1, 2, 4, 32)  # halves of 128, quarters of 32
    low = (stored[:, :, :2] & 15) | (stored[:, :, 2:] & 15) << 4
    high = (stored >> 4 << np.array([0, 2, 4, 6], np.uint8)[:, None]).sum(2, dtype=np.uint8)
    parts = (low.reshape(-1, 128), high.reshape(-1, 64), scales.astype(np.int8).view(np.uint8), half(d))
    data = np.concatenate(parts, 1)
    data[empty] = 0
    return data


def _decode(data: Array) -> Array:
    low = data[:, :128].reshape(-1, 2, 2, 32)
    high = data[:, 128:192].reshape(-1, 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    codes = (np.concatenate((low & 15, low >> 4), 2) | high << 4).astype(F) - ZERO
    scales = np.ascontiguousarray(data[:, 192:208]).view(np.int8).astype(F)
    step = unhalf(data[:, 208:]) * scales
    found: Array = step[..., None] * codes.reshape(-1, 16, SUB)
    return found.reshape(-1, SUPER)


TYPE = BlockType("Q6_K", 14, SUPER, 210, _encode, _decode, share)
