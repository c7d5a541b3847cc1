"""The integers of window statistics in numpy: the definition that statistics.h follows step by step."""

from __future__ import annotations

import numpy as np

from ...types import Array
from .._log2 import log2

KINDS = ("mean", "deviation", "rms", "smallest", "largest", "crossings")
MOST = 32767


def statistics(x: Array, kinds: tuple[str, ...], octaves: int) -> Array:
    """(rows, channels, samples) int64 to (rows, channels, values) int16."""
    n = x.shape[2]
    total, squares = x.sum(axis=2), (x * x).sum(axis=2)
    mean = (total + 32768 * n + n // 2) // n - 32768
    above = x > mean[..., None]
    found = {
        "mean": mean,
        "deviation": np.minimum(root(n * squares - total * total) // n, MOST),
        "rms": np.minimum(root(n * squares) // n, MOST),
        "smallest": x.min(axis=2),
        "largest": x.max(axis=2),
        "crossings": (above[..., 1:] != above[..., :-1]).sum(axis=2),
    }
    values = [found[kind] for kind in kinds]
    for _ in range(octaves):
        pairs = x[..., : x.shape[2] // 2 * 2].reshape(*x.shape[:2], -1, 2)
        difference = (pairs[..., 0] - pairs[..., 1]) >> 1
        values.append(log2((difference * difference).sum(axis=2)))
        x = (pairs[..., 0] + pairs[..., 1]) >> 1
    return np.asarray(np.stack(values, axis=2), np.int16)


def root(x: Array) -> Array:
    """The whole part of the square root of whole numbers from 0 to 2^62."""
    guess = np.sqrt(x.astype(np.float64)).astype(np.int64)
    guess -= guess * guess > x
    return np.asarray(guess + ((guess + 1) * (guess + 1) <= x))
