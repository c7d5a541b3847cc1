"""Cutting a part off a data set by group: a group (leaf, speaker, patient) is never in two parts."""

from __future__ import annotations

import numpy as np

from ..types import Array


def cut_by_group(y: Array, groups: Array, share: float, seed: int) -> Array:
    """A mask (N,) bool of the samples cut off: about `share` of every class, whole groups only.

    Groups come in random order (fixed by `seed`); one is taken where that brings the class counts of the cut nearer
    to their targets (the greedy step of stratified group k-fold). A class that got nothing then receives its
    smallest group, where another group of that class stays behind.

    Args:
        y: (N,) labels, integers from 0.
        groups: (N,) group names; samples without a group have a name of their own.
        share: of each class, between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"a share must be between 0 and 1, not {share}")
    names, group_of = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), int(y.max()) + 1))  # samples of each class in each group
    np.add.at(counts, (group_of, y), 1)
    total = counts.sum(axis=0)
    weight = 1 / np.maximum(total, 1) ** 2
    missing = share * total
    taken = np.zeros(len(names), bool)
    for g in np.random.default_rng(seed).permutation(len(names)):
        if (weight * ((missing - counts[g]) ** 2 - missing**2)).sum() < 0:
            taken[g] = True
            missing = missing - counts[g]
    for c in np.flatnonzero(total):
        holders = np.flatnonzero(counts[:, c])
        if not taken[holders].any() and len(holders) > 1:
            taken[holders[np.argmin(counts[holders].sum(axis=1))]] = True
    for c in np.flatnonzero(total):  # and no class leaves altogether
        holders = np.flatnonzero(counts[:, c])
        if taken[holders].all():
            taken[holders[np.argmax(counts[holders, c])]] = False
    return np.asarray(taken[group_of])


def own_groups(n: int, prefix: str) -> Array:
    """Group names for `n` samples that belong to no group: one each."""
    return np.array([f"{prefix}:{i}" for i in range(n)])
