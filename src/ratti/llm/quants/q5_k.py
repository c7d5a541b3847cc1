"""Q5_K: 256 weights in 176 bytes, 5.5 bits a weight: Q4_K with the fifth bits in 32 bytes of their own."""

from __future__ import annotations

import numpy as np

from ...types import Array
from ._k import HEAD_BYTES, SUB, SUPER, decode, encode, from_pairs, pairs
from .base import BlockType

_SHIFTS = np.arange(8, dtype=np.uint8)[:, None]  # bit i of byte j: weight j of block i


def _encode(blocks: Array, importance: Array | None) -> Array:
    head, codes = encode(blocks, importance, 31, (-0.5, 0.1, 15))
    fifth = ((codes >> 4).reshape(-1, 8, SUB) << _SHIFTS).sum(1, dtype=np.uint8)
    return np.concatenate((head, fifth, pairs(codes & 15)), 1)


def _decode(data: Array) -> Array:
    fifth = data[:, None, HEAD_BYTES : HEAD_BYTES + SUB] >> _SHIFTS & 1
    codes = from_pairs(data[:, HEAD_BYTES + SUB :]) | fifth.reshape(-1, SUPER) << 4
    return decode(data[:, :HEAD_BYTES], codes)


TYPE = BlockType("Q5_K", 13, SUPER, 176, _encode, _decode)
