"""F16: IEEE half precision; what is beyond its range becomes its largest number."""

from __future__ import annotations

import numpy as np

from ...types import Array
from .base import BlockType

LARGEST = 65504.0


def _encode(blocks: Array, importance: Array | None) -> Array:
    return np.clip(blocks, -LARGEST, LARGEST).astype("<f2").view(np.uint8)


def _decode(data: Array) -> Array:
    return np.ascontiguousarray(data).view("<f2").astype(np.float32)


TYPE = BlockType("F16", 1, 1, 2, _encode, _decode)
