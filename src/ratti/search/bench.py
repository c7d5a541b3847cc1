"""What candidates are evaluated with, in whatever process that happens; and the tasks that are sent there."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..types import Shape
from .budget import Budget, broken
from .cost import Cost, CostModel
from .spaces import Choice, Space
from .spaces.base import Value

if TYPE_CHECKING:
    from torch import nn

    from ..data import Dataset
    from ..train import TrainConfig

PULSE_SECONDS = 0.2  # of the processor
TUNED = 1024  # samples of the train part, to judge a net with shared weights
PACE_BATCHES = 8  # of the train part


@dataclass(frozen=True, eq=False)
class Bench:
    """One of these is in every worker: it is sent once, tasks are sent often.

    `datasets` holds the data in each shape that the space's nets take; `folder` is the search's own.
    """

    space: Space
    costs: CostModel
    budget: Budget
    datasets: Mapping[Shape, Dataset]
    config: TrainConfig
    folder: Path

    def dataset(self, choice: Choice) -> Dataset:
        return self.datasets[self.space.shape(choice)]


class Task(ABC):
    """A piece of work for a worker: plain data, and what to do with a bench."""

    @abstractmethod
    def run(self, bench: Bench) -> Any:
        """Does it. The result must be plain data too."""


@dataclass(frozen=True)
class Outcome:
    """What became of a candidate. `cost` is None where the least memory that it takes is over a limit already;
    `accuracy` (of the validation part, a share) where any limit is broken: such nets are not trained.
    """

    excess: Mapping[str, float]
    cost: Cost | None = None
    accuracy: float | None = None
    seconds: float = 0.0
    cost_seconds: float = 0.0  # of them, to find out the cost
    epoch_seconds: float = 0.0  # of training, about

    @property
    def fits(self) -> bool:
        return not broken(self.excess)


@dataclass(frozen=True)
class Start:
    """Weights to begin with: a net's slice of those that a subspace shares, `file` in the search's folder.

    Measured on digits, three nets of the tiny space, after 12 rounds of the shared weights: 53, 66 and 80 % of the
    validation part after 2, 4 and 8 epochs in the mean, instead of 34, 48 and 67 % from random weights.
    """

    fixed: Mapping[str, Value]
    file: str

    def module(self, bench: Bench, choice: Choice) -> nn.Module:
        from .supernet import loaded

        shared = loaded(bench.space.narrowed(**self.fixed), bench.folder / self.file)
        return shared.extracted(choice, bench.dataset(choice))


def hopeless(space: Space, choice: Choice, budget: Budget) -> bool:
    """True where a single activation is over the RAM, or the weights at a byte each are over the flash: no plan that
    runs layer by layer can help that. It says so in a millisecond.
    """
    spec = space.spec(choice)
    shapes = (s for _, layer, taken in spec.layers for s in (*taken, layer.output_shape(*taken)))
    largest = max(math.prod(s) for s in shapes)
    return largest > budget.ram or spec.parameters > budget.flash


def measured(bench: Bench, choice: Choice) -> Outcome:
    """The candidate's cost, held against the limits; nothing is trained."""
    start = time.monotonic()
    spec = bench.space.spec(choice)
    excess = bench.budget.excess_of_floor(*bench.costs.floor(spec))
    if broken(excess):
        return Outcome(excess, cost_seconds=time.monotonic() - start)
    cost = bench.costs(spec)
    return Outcome(bench.budget.excess(cost), cost, cost_seconds=time.monotonic() - start)


@dataclass(frozen=True)
class Evaluate(Task):
    """Measures a candidate, and trains it for a short time where it is within all limits: for the epochs of the bench
    with random weights, or once over `TUNED` samples from the weights of `begin`.

    Slices of shared weights as they are tell less: on digits, over ten nets of the tiny space, the rank correlation
    with the accuracy after ten epochs was 0.38, and 0.60 after one pass over 1,077 samples.
    """

    choice: Choice
    seed: int
    begin: Start | None = None
    epochs: int | None = None  # instead of those of the bench

    def run(self, bench: Bench) -> Outcome:
        from ..train import train

        start = time.monotonic()
        outcome = measured(bench, self.choice)
        if not outcome.fits:
            return outcome
        dataset, parts, initial = bench.dataset(self.choice), 1, None
        config = replace(bench.config, seed=self.seed, epochs=self.epochs or bench.config.epochs)
        if self.begin is not None:
            parts = max(1, len(dataset.train) // TUNED)
            dataset = replace(dataset, train=dataset.train.take(slice(0, None, parts)))
            config, initial = replace(config, epochs=1), self.begin.module(bench, self.choice)
        trained = train(bench.space.spec(self.choice), dataset, config, initial=initial, progress=False)
        return replace(outcome, accuracy=trained.val.accuracy, seconds=time.monotonic() - start,
                       epoch_seconds=trained.seconds * parts / len(trained.history))


@dataclass(frozen=True)
class Measure(Task):
    """Costs of several candidates, held against the limits."""

    choices: tuple[Choice, ...]

    def run(self, bench: Bench) -> list[Outcome]:
        return [measured(bench, c) for c in self.choices]


@dataclass(frozen=True)
class Learn(Task):
    """Finds out costs for `seconds`, so that they are known when they are asked for; gives how many."""

    choices: tuple[Choice, ...]
    seconds: float

    def run(self, bench: Bench) -> int:
        start = time.monotonic()
        for k, choice in enumerate(self.choices):
            if time.monotonic() - start >= self.seconds:
                return k
            measured(bench, choice)
        return len(self.choices)


@dataclass(frozen=True)
class Pulse(Task):
    """How many times as long as on a core of its own the worker takes: 1 where it has one."""

    def run(self, bench: Bench) -> float:
        start, begun = time.monotonic(), time.process_time()
        while time.process_time() - begun < PULSE_SECONDS:
            sum(range(20_000))
        return max((time.monotonic() - start) / (time.process_time() - begun), 1.0)


@dataclass(frozen=True)
class Pace(Task):
    """Seconds that one epoch of a net takes here and now, from a part of one."""

    choice: Choice

    def run(self, bench: Bench) -> float:
        from ..train import train

        whole = bench.dataset(self.choice)
        parts = max(1, len(whole.train) // (PACE_BATCHES * bench.config.batch_size))
        some = replace(whole, train=whole.train.take(slice(0, None, parts)), val=whole.val.take(slice(0, None, parts)))
        config = replace(bench.config, epochs=1)
        return train(bench.space.spec(self.choice), some, config, progress=False).seconds * parts
