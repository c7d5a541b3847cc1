"""How good predictions are: accuracy, recall of each class, balanced accuracy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..types import Array


@dataclass(frozen=True)
class Score:
    """Shares between 0 and 1 over `samples` samples; recall of a class without samples is None."""

    samples: int
    accuracy: float
    balanced_accuracy: float  # mean recall of the classes that have samples
    recall: tuple[float | None, ...]


def score(outputs: Array, labels: Array) -> Score:
    """Score of `outputs` (N, classes), logits or probabilities or their int8 codes, against `labels` (N,)."""
    if outputs.ndim != 2 or labels.shape != (len(outputs),) or not len(labels):
        raise ValueError(f"outputs {outputs.shape} and labels {labels.shape} do not belong together")
    right = outputs.argmax(axis=1) == labels
    per_class = [right[labels == c] for c in range(outputs.shape[1])]
    recall = tuple(float(r.mean()) if len(r) else None for r in per_class)
    return Score(len(labels), float(right.mean()), float(np.mean([r for r in recall if r is not None])), recall)
