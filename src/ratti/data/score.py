"""How good answers are: the figure of a net's goal, and what stands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..types import Array


@dataclass(frozen=True)
class Score:
    """Shares between 0 and 1 over `samples` samples; recall of a class without samples is None.

    `accuracy` is the figure of the goal (`Goal.METRIC`): accuracy, AUC or F1; `details` are its others, by name.
    """

    samples: int
    accuracy: float
    balanced_accuracy: float  # of a classifier: mean recall of the classes that have samples; else as `accuracy`
    recall: tuple[float | None, ...]
    details: Mapping[str, float] = field(default_factory=dict)


def score(outputs: Array, labels: Array) -> Score:
    """Score of `outputs` (N, classes), logits or probabilities or their int8 codes, against `labels` (N,)."""
    if outputs.ndim != 2 or labels.shape != (len(outputs),) or not len(labels):
        raise ValueError(f"outputs {outputs.shape} and labels {labels.shape} do not belong together")
    right = outputs.argmax(axis=1) == labels
    recall = recalls(right, labels, outputs.shape[1])
    return Score(len(labels), float(right.mean()), float(np.mean([r for r in recall if r is not None])), recall)


def recalls(right: Array, labels: Array, classes: int) -> tuple[float | None, ...]:
    """The share of each class that is right."""
    per_class = [right[labels == c] for c in range(classes)]
    return tuple(float(r.mean()) if len(r) else None for r in per_class)
