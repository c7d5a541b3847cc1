"""What a net is for. A goal says what the net must put out, how good that is and how it is told: one a file, found by
its name. Its loss is beside the others, in `train.goals`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from ... import registry
from ...types import Array, Shape
from ..score import Score

if TYPE_CHECKING:
    from ..dataset import Part

PACKAGE = "ratti.data.goals"
Settings = Mapping[str, float]
Answers = Callable[[], tuple[Array, Array]]  # (outputs, inputs) of the validation part, real values


@dataclass(frozen=True)
class Look:
    """What an example's tile says: words, whether the answer is right, and marks on its picture.

    Marks are (row, column, 1 where it is found and 0 where it truly is), in pixels.
    """

    words: str
    right: bool
    marks: tuple[tuple[float, float, int], ...] = ()


class Goal(Protocol):
    """What each module of this package offers. `outputs` are (N, K) real values, `inputs` (N, H, W, C) as the net saw
    them, `settings` what `settle` gave.
    """

    METRIC: str  # what the figure of the goal is called
    WHAT: str  # what such a net is, for {classes} classes
    USE: str  # what its output means
    LIMIT: str  # what it cannot do
    NETS: tuple[str, ...]  # families made for it; none: those for classes

    def outputs(self, classes: int, shape: Shape) -> int:
        """How many outputs the net needs for inputs of `shape` (H, W, C)."""

    def learned(self, part: Part) -> Array:
        """A mask (N,) of the samples that training may learn from."""

    def targets(self, part: Part, real: Array, classes: int) -> Array:
        """What the loss compares outputs with; `real` is what the net takes."""

    def settle(self, answers: Answers, part: Part) -> Settings:
        """What must be chosen on validation, such as a threshold."""

    def score(self, outputs: Array, part: Part, inputs: Array, classes: int, settings: Settings) -> Score:
        """How good the outputs are."""

    def confusion(self, outputs: Array, part: Part, classes: int) -> tuple[tuple[int, ...], ...]:
        """How often each class (row) got each answer (column); nothing where an answer is no class."""

    def looks(self, outputs: Array, part: Part, inputs: Array, names: Sequence[str], settings: Settings) -> list[Look]:
        """A tile for each sample."""


def goals() -> tuple[str, ...]:
    """Names of the known goals."""
    return registry.modules(PACKAGE)


def load(name: str) -> Goal:
    """The goal `name`; InputError where there is none."""
    return cast(Goal, registry.load(PACKAGE, name))
