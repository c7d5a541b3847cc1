"""TinyNAS: first the search space, then one set of weights for all its nets, then evolution inside the limits.

Lin et al. 2020, "MCUNet", section 3.1 (`_subspace`, and evolution by mutation and crossover); weights as in Cai et al.
2020, "Once-for-All" (`supernet`). Candidates are judged by their slice of the weights on the validation part.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..bench import Bench, Measure, Outcome, Start, Task, measured
from ..spaces import Choice
from ..spaces.base import Value
from ..study import Trial
from . import _fill, _subspace
from .base import Strategy

WEIGHTS = "supernet.safetensors"
SHARE = 0.5  # of the time that is left, for the weights
ROUNDS = 120  # over the data, at most
POPULATION = 32  # random nets, before evolution
PARENTS = 12
RATE = 0.15  # of mutation
TRIES = 2000


class TinyNas(Strategy):
    id = "tiny_nas"
    title = "TinyNAS"

    def prepare(self) -> None:
        search = self.search
        self.fixed = _subspace.chosen(search)
        self.space = search.space.narrowed(**self.fixed)
        seconds = search.noted("supernet_seconds")
        if seconds is None:
            seconds = max(search.left * SHARE, 5.0)
            search.note("supernet_seconds", seconds)
        if not search.noted("supernet"):
            search.say(f"training the shared weights of {self.space.size:.3g} nets for at most {seconds:.0f} s")
            rng = search.rng()
            # Whoever has no weights to train finds out what nets cost meanwhile.
            known = [Measure((self.space.sample(rng),)) for _ in range(POPULATION if search.pool.size > 1 else 0)]
            told = search.pool.map([TrainSupernet(self.fixed, seconds, search.seed), *known])[0]
            search.note("supernet", told)
            search.say(f"shared weights: {told['rounds']} rounds; the largest net reaches {told['largest']:.1%}, "
                       f"the smallest {told['smallest']:.1%}")
        self._half = search.left / 2
        self._grown: set[int] = set()  # trials

    def propose(self) -> Choice | None:
        rng = self.search.rng()
        trials = self.search.trials()
        fit = [t for t in trials if t.fits]
        if fit and self.search.left < self._half:
            larger = self._larger(max(fit, key=lambda t: t.accuracy))
            if larger is not None:
                return larger
        parents = self._parents(fit)
        for _ in range(TRIES):
            if len(trials) < POPULATION or not parents:
                choice = self.space.sample(rng)
            elif rng.random() < 0.5:
                choice = self.space.mutate(parents[int(rng.integers(len(parents)))].choice, rng, RATE)
            else:
                one, other = (parents[int(rng.integers(len(parents)))].choice for _ in range(2))
                choice = self.space.mutate(self.space.crossover(one, other, rng), rng, RATE / 3)
            if not self.search.tried(choice) and not self.search.hopeless(choice):
                return choice
        return None

    def _larger(self, best: Trial) -> Choice | None:
        """The best net grown into the time that it leaves, once for each best."""
        cost = best.outcome.cost
        used = None if cost is None else self.search.budget.used(cost)
        if used is None or _fill.is_near(used) or best.number in self._grown:
            return None
        self._grown.add(best.number)
        choice = _fill.grown(self.search, self.space, best.choice, used)
        return None if self.search.tried(choice) else choice

    def _parents(self, fit: list[Trial]) -> list[Trial]:
        """The most accurate, and the front."""
        best = sorted(fit, key=lambda t: -t.accuracy)[:PARENTS]
        return [*best, *(t for t in self.search.front() if t not in best)]

    def task(self, choice: Choice, number: int) -> Task:
        return Sliced(choice, self.fixed)

    def start(self, choice: Choice) -> Start:
        return Start(self.fixed, WEIGHTS)

    def told(self) -> dict[str, Any]:
        return {"subspace": self.search.noted(_subspace.NOTE), "supernet": self.search.noted("supernet")}


@dataclass(frozen=True)
class TrainSupernet(Task):
    """Trains the shared weights of a subspace into the search's folder; goes on where it was."""

    fixed: Mapping[str, Value]
    seconds: float
    seed: int

    def run(self, bench: Bench) -> dict[str, Any]:
        from ..supernet import Supernet

        net = Supernet(bench.space.narrowed(**self.fixed), self.seed)
        dataset = bench.dataset(net.space.largest())
        net.train(dataset, ROUNDS, self.seconds, self.seed, bench.folder / WEIGHTS)
        return {"rounds": net.rounds, "seconds": net.seconds,
                "largest": net.accuracy(net.space.largest(), dataset),
                "smallest": net.accuracy(net.space.smallest(), dataset)}


@dataclass(frozen=True)
class Sliced(Task):
    """Measures a candidate, and judges it by its slice of the shared weights where it is within all limits."""

    choice: Choice
    fixed: Mapping[str, Value]

    def run(self, bench: Bench) -> Outcome:
        outcome = measured(bench, self.choice)
        if not outcome.fits:
            return outcome
        from ..supernet import loaded

        start = time.monotonic()
        space, path = bench.space.narrowed(**self.fixed), bench.folder / WEIGHTS
        dataset = bench.dataset(self.choice)
        accuracy = loaded(space, path).accuracy(self.choice, dataset)
        seconds = time.monotonic() - start
        # A pass of training takes about three times a pass of inference over the same samples.
        epoch = 3 * seconds * len(dataset.train) / max(len(dataset.val), 1)
        return replace(outcome, accuracy=accuracy, seconds=seconds + outcome.cost_seconds, epoch_seconds=epoch)
