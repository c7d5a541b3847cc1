"""A small image task and small nets for tests of the learning side."""

from __future__ import annotations

import numpy as np

from ratti.data import Dataset, Kind, LoadReport, Part
from ratti.nets import NetSpec, from_yaml


def dataset(n: int = 240, kind: Kind = Kind.IMAGE, seed: int = 0) -> Dataset:
    """Three classes of 8x8 images: a bright row, a bright column, a bright diagonal, at random places in noise."""
    rng = np.random.default_rng(seed)
    parts = []
    for name, count in (("train", n), ("val", n // 4), ("test", n // 4)):
        y = np.arange(count) % 3
        x = rng.integers(0, 120, (count, 8, 8, 1))
        for i, (c, at) in enumerate(zip(y, rng.integers(0, 8, count), strict=True)):
            steps = np.arange(8)
            x[i, at if c == 0 else steps, at if c == 1 else (steps + at) % 8 if c == 2 else steps] += 130
        values = x.astype(np.uint8) if kind is Kind.IMAGE else (x * 7).astype(np.int16)
        parts.append(Part(values, y.astype(np.int64), np.array([f"{name}{i}" for i in range(count)])))
    return Dataset.sealed("toy", kind, ("row", "column", "diagonal"), (parts[0], parts[1], parts[2]), LoadReport("toy"))


def spec(*blocks: str) -> NetSpec:
    """A net of 8x8x1 inputs and 3 classes from lines of net.yaml; without any, one with every kind of block."""
    lines = blocks or (
        "conv: {width: 8, kernel: 4, activation: relu}",
        "inverted_residual: {hidden: 12, width: 8, residual: true}",
        "residual: {hidden: 4, width: 8}",
        "separable: {width: 12, stride: 2}",
        "residual: {hidden: 8, width: 8, stride: 1, projection: true}",
        "pool: {kind: max, kernel: 2}",
        "flatten: {}",
        "fc: {width: 3}",
    )
    text = "".join(f"  - {line}\n" for line in lines)
    return from_yaml(f"schema: ratti.net/1\nname: toy\ninput: [8, 8, 1]\nblocks:\n{text}")
