"""Every candidate at random: the yardstick (Li and Talwalkar 2019, "Random Search and Reproducibility for NAS")."""

from __future__ import annotations

from ..spaces import Choice
from .base import Strategy

TRIES = 5000  # for a candidate that was not tried before


class Random(Strategy):
    id = "random"
    title = "random search"

    def propose(self) -> Choice | None:
        rng = self.search.rng()
        for _ in range(TRIES):
            choice = self.search.space.sample(rng)
            if not self.search.tried(choice) and not self.search.hopeless(choice):
                return choice
        return None
