"""Optuna's NSGA-II (Deb et al. 2002), with the limits as its constraints."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..spaces import Choice
from .base import Strategy

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

POPULATION = 16


class Nsga2(Strategy):
    id = "nsga2"
    title = "NSGA-II (Optuna)"

    def sampler(self) -> BaseSampler:
        from optuna.samplers import NSGAIISampler

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constraints are called experimental
            return NSGAIISampler(population_size=POPULATION, seed=self.search.seed + len(self.search.trials()),
                                 constraints_func=_excess)

    def propose(self) -> Choice | None:
        return None


def _excess(trial: FrozenTrial) -> Sequence[float]:
    """How far limits are passed, in all; 0 where every one holds."""
    return [sum(max(share, 0.0) for share in trial.user_attrs["excess"].values())]
