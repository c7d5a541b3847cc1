"""TinyNAS: first the search space, then one set of weights for all its nets, then evolution inside the limits.

Lin et al. 2020, "MCUNet", section 3.1 (`_subspace`, and evolution by mutation and crossover); weights as in Cai et al.
2020, "Once-for-All" (`supernet`). Candidates are judged on the validation part by their slice of the weights, trained
on for a moment (`Evaluate`).

Shared weights are for candidates that are dear to train. On photos of leaves, 200 s of them (3 rounds over 2,960
pictures) gave slices that reached 52 and 55 % when they were trained on, where the same two nets trained alone reached
71 and 74 % after three epochs, in 20 and 28 s. On spoken digits 63 rounds took 330 s, in which the same core trains 50
to 200 nets alone for six epochs; five random slices reached 66 to 80 % when they were trained on, and the same nets
alone 80 to 99 %. So candidates are trained alone where there is time for `ENOUGH` of them, or none for `LEAST_ROUNDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..bench import Bench, Evaluate, Learn, Pace, Start, Task
from ..budget import USES
from ..spaces import Choice
from ..spaces.base import Value
from ..study import Trial
from . import _fill, _subspace
from .base import Strategy

WEIGHTS = "supernet.safetensors"
SHARE = 0.5  # of the time that is left, for the weights
ROUNDS = 120  # over the data, at most
LEAST_ROUNDS = 30
ENOUGH = 48  # candidates trained alone, for evolution
MANY = 120  # of which none is trained for less than the search's epochs
PART = 2 / 3  # of the epochs, where there are fewer: evolution lives on their number
POPULATION = (10, 32)  # random nets, before evolution: at least, at most
PARENTS = (4, 12)
RANDOM, BRED = 1 / 5, 1 / 12  # of the candidates that are expected
RATE = 0.15  # of mutation
TRIES = 2000


class TinyNas(Strategy):
    id = "tiny_nas"
    title = "TinyNAS"

    def prepare(self) -> None:
        search = self.search
        self.fixed = _subspace.chosen(search)
        self.space = search.space.narrowed(**self.fixed)
        plan = search.noted("plan")
        if plan is None:
            plan = self._planned()
            search.note("plan", plan)
        seconds, self.epochs, self.expected = plan["supernet_seconds"], plan["epochs"], plan["expected"]
        self.shares = seconds > 0
        if self.shares and not search.noted("supernet"):
            search.say(f"training the shared weights of {self.space.size:.3g} nets for at most {seconds:.0f} s")
            rng = search.rng()
            # Whoever has no weights to train finds out what nets cost meanwhile.
            known = [Learn(tuple(self.space.sample(rng) for _ in range(POPULATION[1])), seconds)
                     for _ in range(search.pool.size - 1)]
            told = search.pool.map([TrainSupernet(self.fixed, seconds, search.seed), *known])[0]
            search.note("supernet", told)
            search.say(f"shared weights: {told['rounds']} rounds; the largest net reaches {told['largest']:.1%}, "
                       f"the smallest {told['smallest']:.1%}")
        self._half = search.left / 2
        self._grown: set[int] = set()  # trials

    def _planned(self) -> dict[str, Any]:
        """Seconds for shared weights (0: none), the epochs of a candidate without them, and how many candidates there
        is time for then.
        """
        search, rng = self.search, self.search.rng()
        nets = (self.space.largest(), self.space.smallest(), *(self.space.sample(rng) for _ in range(2)))
        paces = search.pool.map([Pace(c) for c in nets])
        mean = sum(paces[2:]) / 2
        epochs, seconds = search.bench.config.epochs, max(search.left * SHARE, 5.0)
        expected = search.left * search.pool.size / (mean * epochs)
        if expected < MANY:
            epochs, expected = max(round(epochs * PART), 1), expected / PART
        rounds = seconds / sum(paces[:3])  # a round trains the largest net, the smallest and a random one
        if expected >= ENOUGH or rounds < LEAST_ROUNDS:
            search.say(f"no shared weights: there is time to train about {expected:.0f} candidates alone")
            seconds = 0.0
        return {"supernet_seconds": seconds, "epochs": epochs, "expected": expected}

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
            if len(trials) < self._many(RANDOM, POPULATION) or not parents:
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
        if used is None or used >= USES or best.number in self._grown:
            return None
        self._grown.add(best.number)
        choice = _fill.grown(self.search, self.space, best.choice, used)
        return None if self.search.tried(choice) else choice

    def _parents(self, fit: list[Trial]) -> list[Trial]:
        """The most accurate, and the front."""
        best = sorted(fit, key=lambda t: -t.accuracy)[:self._many(BRED, PARENTS)]
        return [*best, *(t for t in self.search.front() if t not in best)]

    def _many(self, share: float, ends: tuple[int, int]) -> int:
        """A share of the candidates that are expected, within `ends`; with shared weights there are many."""
        return ends[1] if self.shares else int(np.clip(share * self.expected, *ends))

    def task(self, choice: Choice, number: int) -> Task:
        return Evaluate(choice, self.search.seed, self.start(choice), None if self.shares else self.epochs)

    def start(self, choice: Choice) -> Start | None:
        return Start(self.fixed, WEIGHTS) if self.shares else None

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
