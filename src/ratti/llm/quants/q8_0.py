"""Q8_0: x ~ d * code, 32 weights, a float16 scale, 8 bits a weight. Importance changes nothing."""

from __future__ import annotations

import numpy as np

from ...types import Array
from .base import BlockType, half, unhalf


def _encode(blocks: Array, importance: Array | None) -> Array:
    scale = np.abs(blocks).max(1) / np.float32(127)
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
    scaled = blocks * inverse[:, None]
    whole = np.trunc(scaled)
    codes = whole + np.where(np.abs(scaled - whole) >= 0.5, np.sign(scaled), 0)  # halves away from zero, as C's roundf
    return np.concatenate((half(scale), codes.astype(np.int8).view(np.uint8)), 1)


def _decode(data: Array) -> Array:
    found: Array = unhalf(data[:, :2]) * np.ascontiguousarray(data[:, 2:]).view(np.int8).astype(np.float32)
    return found


TYPE = BlockType("Q8_0", 8, 32, 34, _encode, _decode)
