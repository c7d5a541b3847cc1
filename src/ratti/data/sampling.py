"""In which order an epoch takes the training samples."""

from __future__ import annotations

import numpy as np

from ..types import Array


def epoch_order(labels: Array, rng: np.random.Generator, balanced: bool = False) -> Array:
    """Indices (N,) of N samples in random order, each once; `balanced`: as many of each class, to within one.

    A balanced epoch is as long as a plain one: small classes come several times, all of their samples as often as
    each other to within one; of large ones a part comes, another in each epoch.
    """
    n = len(labels)
    if not balanced:
        return rng.permutation(n)
    present = rng.permutation(np.unique(labels))
    parts = []
    for k, label in enumerate(present):
        own = np.flatnonzero(labels == label)
        wanted = n // len(present) + (k < n % len(present))
        rounds = [rng.permutation(own) for _ in range(-(-wanted // len(own)))]
        parts.append(np.concatenate(rounds)[:wanted])
    return rng.permutation(np.concatenate(parts))
