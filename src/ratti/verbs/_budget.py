"""How many epochs fit into the time that a person gives."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .build import write_json

if TYPE_CHECKING:
    from torch import nn

    from ..data import Dataset
    from ..train import Goal, TrainConfig

# Of the time that is left when a stage begins, how much it may take: what follows needs the rest.
SHARES = {"float": 0.5, "distilled": 0.5, "pruned": 0.4, "qat": 0.5, "sparse": 0.6}
SHORT = 0.4  # of the minutes; with less left, what costs much and may help little is left out


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
            from ..compress import epoch_seconds

            seconds = epoch_seconds(model, dataset, settings, goal)
            kept[stage] = max(least, min(wanted, int(SHARES[stage] * self.left_s / seconds)))
            if kept[stage] < wanted:
                self.say(f"{stage}: {kept[stage]} of {wanted} epochs, {seconds:.1f} s each, fit into the time left")
            write_json(self.path, {"minutes": self.minutes, "epochs": kept})
        return kept[stage]

    def _kept(self) -> dict[str, int]:
        """What an earlier sitting with the same limit decided."""
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            found = {str(k): int(v) for k, v in told["epochs"].items()}
            return found if told["minutes"] == self.minutes and min(found.values(), default=1) > 0 else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
