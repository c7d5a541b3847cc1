"""F32: as they are."""

from __future__ import annotations

import numpy as np

from ...types import Array
from .base import BlockType


def _encode(blocks: Array, importance: Array | None) -> Array:
    return np.ascontiguousarray(blocks, "<f4").view(np.uint8)


def _decode(data: Array) -> Array:
    return np.ascontiguousarray(data).view("<f4").astype(np.float32)


TYPE = BlockType("F32", 0, 1, 4, _encode, _decode)
