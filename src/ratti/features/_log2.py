"""Logarithms of energies in whole numbers: the definition that log2.h follows."""

from __future__ import annotations

import numpy as np

from ..types import Array

PER_OCTAVE = 256  # of energy
SEGMENTS = 32
LOGS = np.rint(np.log2(1 + np.arange(SEGMENTS + 1) / SEGMENTS) * 4096).astype(np.int64)


def log2(energy: Array) -> Array:
    """log2 in steps of 1 / PER_OCTAVE, by a table of 32 segments; of 0 it is 0."""
    whole = np.maximum(bits(energy) - 1, 0)
    mantissa = np.where(whole >= 16, energy >> np.maximum(whole - 16, 0), energy << np.maximum(16 - whole, 0)) & 0xFFFF
    segment, rest = mantissa >> 11, mantissa & 0x7FF
    fraction = LOGS[segment] + (((LOGS[np.minimum(segment + 1, SEGMENTS)] - LOGS[segment]) * rest) >> 11)
    return np.asarray((whole << 8) + (fraction >> 4))


def bits(x: Array) -> Array:
    """Binary digits of whole numbers from 0 to 2^53."""
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)
