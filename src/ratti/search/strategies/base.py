"""What a strategy is: it names the next candidate and says how it is evaluated."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ..bench import Evaluate, Start, Task
from ..spaces import Choice
from ..spaces.base import Value

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from ..study import Search


class Strategy(ABC):
    """One search by one strategy; `search` gives the space, the trials so far, the workers and the time left."""

    id: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, search: Search) -> None:
        self.search = search
        self.fixed: Mapping[str, Value] = {}  # options that this search stays with, once it is prepared

    def sampler(self) -> BaseSampler | None:
        """Optuna's sampler, where the strategy is one; its proposals are then taken as they come."""
        return None

    def prepare(self) -> None:  # noqa: B027  # most strategies have nothing to prepare
        """What comes before the first candidate. It must go on where it was when the search is resumed."""

    @abstractmethod
    def propose(self) -> Choice | None:
        """The next candidate, which no trial has had; None where there is nothing left to try."""

    def takes(self, choice: Choice) -> bool:
        """Whether a candidate is one of the nets that this search is about."""
        return all(choice[key] == value for key, value in self.fixed.items())

    def task(self, choice: Choice, number: int) -> Task:
        """How the candidate of trial `number` is evaluated; its result is an `Outcome`."""
        return Evaluate(choice, self.search.seed)

    def start(self, choice: Choice) -> Start | None:
        """Trained weights that a finalist begins with; None: it begins with random ones."""
        return None

    def told(self) -> dict[str, Any]:
        """What the strategy has to say of itself, for the report: plain data."""
        return {}
