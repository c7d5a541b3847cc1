"""Q4_K: 256 weights in 144 bytes, 4.5 bits a weight."""

from __future__ import annotations

import numpy as np

from ...types import Array
from ._k import HEAD_BYTES, SUPER, decode, encode, from_pairs, pairs
from .base import BlockType


def _encode(blocks: Array, importance: Array | None) -> Array:
    head, codes = encode(blocks, importance, 15, (-1.0, 0.1, 20))
    return np.concatenate((head, pairs(codes)), 1)


def _decode(data: Array) -> Array:
    return decode(data[:, :HEAD_BYTES], from_pairs(data[:, HEAD_BYTES:]))


TYPE = BlockType("Q4_K", 12, SUPER, 144, _encode, _decode)
