"""BF16: the upper half of float32, rounded to nearest, ties to even."""

from __future__ import annotations

import numpy as np

from ...types import Array
from .base import BlockType


def _encode(blocks: Array, importance: Array | None) -> Array:
    bits = np.ascontiguousarray(blocks, np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + (bits >> 16 & 1))) >> 16
    return rounded.astype("<u2").view(np.uint8)


def _decode(data: Array) -> Array:
    bits = np.ascontiguousarray(data).view("<u2").astype(np.uint32) << 16
    return bits.view(np.float32)


TYPE = BlockType("BF16", 30, 1, 2, _encode, _decode)
