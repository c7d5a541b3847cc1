"""What the chains of the compression study found, a JSON file each, kept with the project (see `compression.py`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kept
import numpy as np


@dataclass(frozen=True)
class Result:
    """One step of a chain. `val` is what selection saw (the best net has learned from it), `bytes` those of float
    weights or of the int8 file.
    """

    step: str
    val: float
    seconds: float
    bytes: int
    file: str = ""  # of an int8 model, beside the chain's trainings


@dataclass(frozen=True, eq=False)
class Chain:
    """All steps of one net from one seed; for each step, which test samples (N,) were right; labels (N,)."""

    data: str
    fold: str
    net: str
    seed: int
    balanced: bool
    made: str  # date and versions
    steps: tuple[Result, ...]
    labels: np.ndarray
    right: dict[str, np.ndarray]
    figures: dict[str, Any] = field(default_factory=dict)  # of the int8 files, by file and target

    def step(self, name: str) -> Result:
        return next(s for s in self.steps if s.step == name)

    def on(self, step: str, target: str) -> dict[str, Any]:
        """Figures of a step's firmware; empty before they are measured."""
        found: dict[str, Any] = self.figures.get(self.step(step).file, {}).get(target, {})
        return found


def write(path: Path, chain: Chain) -> None:
    kept.write(path, {**dataclasses.asdict(chain), "labels": kept.packed(chain.labels),
                      "right": {step: kept.packed(values) for step, values in chain.right.items()}})


def read(path: Path) -> Chain:
    content = kept.read(path)
    labels = kept.unpacked(content["labels"])
    right = {step: kept.bits(text, len(labels)) for step, text in content["right"].items()}
    steps = tuple(Result(**s) for s in content["steps"])
    return Chain(**{**content, "steps": steps, "labels": labels, "right": right})


def paths(results: Path) -> Sequence[Path]:
    return sorted(results.glob("**/*.json"))
