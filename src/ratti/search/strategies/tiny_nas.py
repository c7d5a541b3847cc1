"""TinyNAS: first the search space, then one set of weights for all its nets, then evolution inside the limits.

Lin et al. 2020, "MCUNet", section 3.1 (`_subspace`, and evolution by mutation and crossover); weights as in Cai et al.
2020, "Once-for-All" (`supernet`). Candidates are judged on the validation part by their slice of the weights, trained
on for a moment (`Evaluate`).

Shared weights take time to be worth something: on photos of leaves, 200 s of them (3 rounds over 2,960 pictures) gave
slices that reached 52 and 55 % when they were trained on, where the same two nets trained alone reached 71 and 74 %
after three epochs, in 20 and 28 s. Where there is no time for `LEAST_ROUNDS`, candidates are trained alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
POPULATION = 32  # random nets, before evolution
PARENTS = 12
ALONE = 3  # times as long as with shared weights a candidate takes, about: populations are smaller by it
PART = 2 / 3  # of the epochs of a search that trains candidates alone: evolution lives on their number
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
            rng = search.rng()
            nets = (self.space.largest(), self.space.smallest(), self.space.sample(rng))
            each = sum(search.pool.map([Pace(c) for c in nets]))  # a round trains these three, or their like
            if seconds / each < LEAST_ROUNDS:
                search.say(f"no time for shared weights (a round over the data takes about {each:.0f} s): "
                           "candidates are trained alone")
                seconds = 0.0
            search.note("supernet_seconds", seconds)
        self.shares = seconds > 0
        if self.shares and not search.noted("supernet"):
            search.say(f"training the shared weights of {self.space.size:.3g} nets for at most {seconds:.0f} s")
            rng = search.rng()
            # Whoever has no weights to train finds out what nets cost meanwhile.
            known = [Learn(tuple(self.space.sample(rng) for _ in range(POPULATION)), seconds)
                     for _ in range(search.pool.size - 1)]
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
            if len(trials) < self._many(POPULATION) or not parents:
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
        best = sorted(fit, key=lambda t: -t.accuracy)[:self._many(PARENTS)]
        return [*best, *(t for t in self.search.front() if t not in best)]

    def _many(self, count: int) -> int:
        return count if self.shares else count // ALONE

    def task(self, choice: Choice, number: int) -> Task:
        epochs = None if self.shares else max(round(self.search.bench.config.epochs * PART), 1)
        return Evaluate(choice, self.search.seed, self.start(choice), epochs)

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
