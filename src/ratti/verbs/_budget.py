"""How many epochs fit into the time that a person gives."""

from __future__ import annotations

import copy
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from ..data import Dataset
    from ..train import Goal, TrainConfig

# Of the time that is left when a stage begins, how much it may take: what follows needs the rest.
SHARES = {"float": 0.5, "distilled": 0.5, "pruned": 0.4, "qat": 0.5, "sparse": 0.6}
SHORT = 0.4  # of the minutes; with less left, what costs much and may help little is left out
STEPS = 3  # that are timed


@dataclass(eq=False)
class Budget:
    """The time of one run. What it decides is kept in `path`, so that a run that goes on decides the same."""

    path: Path
    minutes: float | None
    say: Callable[[str], None]
    _start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.minutes is not None and not 0 < self.minutes < 1e6:
            raise InputError(f"--minutes {self.minutes:g}: it must be above 0")

    @property
    def left_s(self) -> float:
        """Seconds; without a limit none are ever missing."""
        return float("inf") if self.minutes is None else 60 * self.minutes - (time.monotonic() - self._start)

    @property
    def is_short(self) -> bool:
        return self.minutes is not None and self.left_s < SHORT * 60 * self.minutes

    def epochs(self, stage: str, wanted: int, least: int, model: nn.Module, dataset: Dataset, settings: TrainConfig,
               goal: Goal | None) -> int:
        """At most `wanted` epochs and at least `least`, as many as fit into the stage's share of the time left."""
        if self.minutes is None:
            return wanted
        kept = self._kept()
        if stage not in kept:
            seconds = _epoch_seconds(model, dataset, settings, goal)
            kept[stage] = max(least, min(wanted, int(SHARES[stage] * self.left_s / seconds)))
            if kept[stage] < wanted:
                self.say(f"{stage}: {kept[stage]} of {wanted} epochs, {seconds:.1f} s each, fit into the time left")
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part = self.path.with_suffix(".part")
            part.write_text(json.dumps({"minutes": self.minutes, "epochs": kept}) + "\n", encoding="utf-8")
            part.replace(self.path)
        return kept[stage]

    def _kept(self) -> dict[str, int]:
        """What an earlier sitting with the same limit decided."""
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            found = {str(k): int(v) for k, v in told["epochs"].items()}
            return found if told["minutes"] == self.minutes and min(found.values(), default=1) > 0 else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def _epoch_seconds(model: nn.Module, dataset: Dataset, settings: TrainConfig, goal: Goal | None) -> float:
    """One epoch by a few steps of it, on a copy of `model`; validation with it."""
    import numpy as np
    import torch

    from ..train import LOSSES, evaluate, tensors, threads
    from ..train.loop import set_mode

    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of torch's own copying
        probe = copy.deepcopy(model)
    goal = goal or LOSSES[dataset.goal]
    batch = np.arange(min(settings.batch_size, len(dataset.train)))
    part = dataset.train.take(batch)
    with threads(settings.threads):
        set_mode(probe, training=True)
        start = 0.0
        for step in range(STEPS + 1):  # the first is slower than all others
            start = time.monotonic() if step == 1 else start
            probe.zero_grad()
            goal(probe, tensors(dataset, part), torch.tensor(dataset.targets(part)), batch).backward()  # type: ignore[no-untyped-call]
        per_step = (time.monotonic() - start) / STEPS
        set_mode(probe, training=False)
        start = time.monotonic()
        few = dataset.val.take(slice(256))
        evaluate(probe, dataset, few)
        validation = (time.monotonic() - start) * len(dataset.val) / len(few)
    return per_step * 1.2 * len(dataset.train) / len(batch) + validation  # augmentation and the optimizer besides
