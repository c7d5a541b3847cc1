"""Which epoch of a training is kept: the rule that looks at validation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..types import Array
from .state import Epoch


def weight(labels: Array) -> float:
    """As how many samples the mean recall of `labels` (N,) counts: that of 4 samples of a class is uncertain however
    many there are of others.

    The variance of a mean of K recalls, each with the spread of p, is p (1 - p) times the sum of 1 / n_k over K^2.
    """
    counts = np.unique(labels, return_counts=True)[1]
    return float(len(counts) ** 2 / (1 / counts).sum())


def improves(epoch: Epoch, history: Sequence[Epoch], best_epoch: int, balanced: bool, samples: float) -> bool:
    """Whether `epoch` is better than the best of `history`, by validation on `samples` samples.

    Scores (balanced accuracy, or accuracy) within one standard error of the highest so far count as equal (the rule of
    Breiman et al. 1984), and among those the lowest loss wins: the highest of many noisy scores is luck.
    """
    def score(of: Epoch) -> float:
        return of.val_balanced_accuracy if balanced else of.val_accuracy

    if not history:
        return True
    best = history[best_epoch - 1]
    peak = max(score(e) for e in (*history, epoch))
    share = (peak * samples + 1) / (samples + 2)  # never quite 1, or a perfect score would have no error
    floor = peak - math.sqrt(share * (1 - share) / samples)
    if score(epoch) < floor:
        return False
    return score(best) < floor or epoch.val_loss < best.val_loss
