"""What can be read off the trials of a search: which options the front chose, what each is worth, ranks on devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .spaces import Space
from .spaces.base import Value
from .study import Trial, front


@dataclass(frozen=True)
class Option:
    """One option of a choice: its share of the nets tried and of the front, and the mean accuracy with it."""

    choice: str
    option: Value
    tried: float
    front: float
    accuracy: float | None


def options(space: Space, trials: Sequence[Trial]) -> list[Option]:
    """Every option that there was a choice of, over the nets that were within the limits."""
    fit = [t for t in trials if t.fits]
    best = front(trials)
    found = []
    for key, values in space.options.items():
        for value in values if len(values) > 1 else ():
            has = [t for t in fit if t.choice[key] == value]
            found.append(Option(
                key, value, len(has) / max(len(fit), 1),
                sum(t.choice[key] == value for t in best) / max(len(best), 1),
                float(np.mean([t.accuracy for t in has])) if has else None,
            ))
    return found


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's: 1 where both put the same nets in the same order. Equal values share their mean rank."""
    ranks = [_ranks(np.asarray(v, np.float64)) for v in (one, other)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def extra_work(accuracy: Sequence[float], here: Sequence[float], there: Sequence[float]) -> list[float]:
    """What it costs here to have searched for another device: for each net of this device's front, how much more work
    (a share, 0 or more) does the net of no less accuracy take here that is least work there?
    """
    extra, best = [], -np.inf
    acc, own, other = (np.asarray(v, np.float64) for v in (accuracy, here, there))
    for k in np.lexsort((-acc, own)):
        if acc[k] > best:  # of the front: nothing that takes less is as accurate
            best = acc[k]
            able = np.flatnonzero(acc >= best)
            chosen = able[np.lexsort((own[able], other[able]))[0]]
            extra.append(float(own[chosen] / own[k] - 1))
    return extra


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place], np.float64)
