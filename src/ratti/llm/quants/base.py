"""What a block type is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...types import Array

TINY = np.float32(1e-15)  # a block whose largest weight is below is all zero (ggml's GROUP_MAX_EPS)


def weigh(rows: Array, importance: Array, block: int) -> Array:
    """The weight of each error (n, block): importance times sqrt(mean square + x²), the mean over the row for blocks of
    32 and twice the mean over the block for super-blocks of 256.
    """
    blocks = rows.reshape(-1, block)
    if block > 32:
        spread = 2 * _sums(blocks * blocks) / np.float32(block)
    else:
        spread = np.repeat(_sums(rows * rows) / np.float32(rows.shape[1]), rows.shape[1] // block)
    found: Array = share(rows, importance, block) * np.sqrt(spread[:, None] + blocks * blocks)
    return found


def share(rows: Array, importance: Array, block: int) -> Array:
    """The importance alone as the weight of each error (n, block)."""
    return np.broadcast_to(importance.astype(np.float32), rows.shape).reshape(-1, block)


def _sums(rows: Array) -> Array:
    """Sums of rows, column after column, as the reference adds."""
    found: Array = np.ascontiguousarray(rows.T).sum(0)
    return found


@dataclass(frozen=True)
class BlockType:
    """A way to store weights: blocks of `weights` take `bytes` each.

    `encode(blocks, importance)`: float32 (n, weights), with the weight of each error of the same shape or None, to
    uint8 (n, bytes). `decode`: the reverse. `weigh`: rows and the importance of columns to the weights of errors.
    """

    name: str  # as GGUF writes it: Q4_K
    id: int  # GGUF's number
    weights: int
    bytes: int
    encode: Callable[[Array, Array | None], Array]
    decode: Callable[[Array], Array]
    weigh: Callable[[Array, Array, int], Array] = weigh

    def row_bytes(self, columns: int) -> int:
        """Bytes of a row; ValueError where it does not divide into blocks."""
        if columns % self.weights:
            raise ValueError(f"rows of {columns} do not divide into {self.name}'s blocks of {self.weights}")
        return columns // self.weights * self.bytes

    def size(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor."""
        return math.prod(shape[:-1]) * self.row_bytes(shape[-1])

    def quantize(self, rows: Array, importance: Array | None = None) -> Array:
        """Rows (r, columns) float32 to uint8 (r, row_bytes); `importance` (columns,) weighs the squared errors."""
        count, columns = rows.shape
        width = self.row_bytes(columns)
        weighed = None if importance is None else self.weigh(rows, importance, self.weights)
        return self.encode(rows.reshape(-1, self.weights), weighed).reshape(count, width)

    def dequantize(self, data: Array) -> Array:
        """uint8 (r, row_bytes) to float32 (r, columns)."""
        return self.decode(data.reshape(-1, self.bytes)).reshape(len(data), -1)


def half(values: Array) -> Array:
    """float32 (n,) as the two bytes of float16 (n, 2)."""
    return values.astype("<f2").view(np.uint8).reshape(-1, 2)


def unhalf(data: Array) -> Array:
    """The reverse: uint8 (n, 2) to float32 (n, 1)."""
    return np.ascontiguousarray(data).view("<f2").astype(np.float32)


def nibbles(codes: Array) -> Array:
    """Codes (n, 2k) of four bits: the first half into low nibbles, the second into high ones: uint8 (n, k)."""
    k = codes.shape[1] // 2
    packed: Array = codes[:, :k] | codes[:, k:] << 4
    return packed


def from_nibbles(data: Array) -> Array:
    return np.concatenate((data & 15, data >> 4), 1)
