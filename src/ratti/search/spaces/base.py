"""What a search space is: named choices, each with its options in order, and the net that a set of them stands for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...errors import InputError
from ...nets import NetSpec
from ...nets._blocks import Block, Join
from ...nets._ids import JOIN_HIDDEN, JOIN_WIDTH
from ...nets._layers import Fc, Mean
from ...types import Shape

Value = int | float
Choice = Mapping[str, Value]  # an option of every choice, by its name

INPUT, WIDTH = "input", "width"  # choices of the whole net that spaces share
HEAD = "head"


@dataclass(frozen=True)
class Task:
    """What a net must take and give: the shapes (H, W, C) in which the data can be had, smallest first; how many
    classes; how many numbers beside a sample.
    """

    shapes: tuple[Shape, ...]
    classes: int
    numbers: int = 0

    def __post_init__(self) -> None:
        if not self.shapes or self.classes < 2:
            raise ValueError("a task needs the shape of its samples and at least 2 classes")
        if list(self.shapes) != sorted(self.shapes):
            raise ValueError("the shapes of a task come smallest first")


@dataclass(frozen=True)
class Part:
    """Consecutive blocks of a net. Choices that concern it alone are named `<part>.<choice>`.

    In nets of one space, block k of a part does the same work in every net that has it: so weights can be shared.
    """

    name: str
    blocks: tuple[Block, ...]


class Space(ABC):
    """A set of nets for a task. `options` maps each choice to what it may be, cheapest first."""

    id: ClassVar[str]
    ram_bytes: ClassVar[int] = 0  # the RAM that the space is made for, at least
    order: ClassVar[int] = 0  # among spaces that suit equally

    def __init__(self, task: Task, options: Mapping[str, tuple[Value, ...]] | None = None) -> None:
        if not self.takes(task.shapes[-1]):
            raise InputError(f"the space {self.id} does not take inputs of {task.shapes[-1]} (H, W, C)")
        self.task = task
        self.options = {INPUT: tuple(range(len(task.shapes))), **self.choices(task)} if options is None else options

    @classmethod
    def takes(cls, shape: Shape) -> bool:
        """Whether the nets take inputs of `shape`."""
        return min(shape[:2]) > 1

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        """Whether the space is meant for such inputs: what is taken where the user names none."""
        return cls.takes(shape)

    @abstractmethod
    def choices(self, task: Task) -> Mapping[str, tuple[Value, ...]]:
        """The choices beside that of the input, each with its options, cheapest first."""

    @abstractmethod
    def body(self, choice: Choice, shape: Shape) -> tuple[Part, ...]:
        """The parts of the net before its head, for an input of `shape`."""

    def parts(self, choice: Choice) -> tuple[Part, ...]:
        """All parts: the body, then mean, the numbers' join where there are any, and the classes."""
        join = (Join(JOIN_HIDDEN, JOIN_WIDTH),) if self.task.numbers else ()
        return (*self.body(choice, self.shape(choice)), Part(HEAD, (Mean(), *join, Fc(self.task.classes))))

    def shape(self, choice: Choice) -> Shape:
        """The input's shape."""
        return self.task.shapes[int(choice[INPUT])]

    def spec(self, choice: Choice, name: str = "") -> NetSpec:
        """The net. InputError where a choice is missing or none of the options."""
        for key, options in self.options.items():
            if choice.get(key) not in options:
                raise InputError(f"{self.id}: {key} is {choice.get(key)}; it may be {', '.join(map(str, options))}")
        blocks = tuple(b for part in self.parts(choice) for b in part.blocks)
        return NetSpec(name or self.id, self.shape(choice), blocks, self.task.numbers)

    def places(self, choice: Choice) -> tuple[int, ...]:
        """For each block of the net, which block of the space's largest net does the same work."""
        starts: dict[str, int] = {}
        at = 0
        for part in self.parts(self.largest()):
            starts[part.name] = at
            at += len(part.blocks)
        return tuple(starts[p.name] + k for p in self.parts(choice) for k in range(len(p.blocks)))

    def narrowed(self, **fixed: Value) -> Space:
        """The same space with some choices made."""
        return type(self)(self.task, {k: (fixed[k],) if k in fixed else v for k, v in self.options.items()})

    @property
    def size(self) -> int:
        """How many sets of choices there are."""
        total = 1
        for options in self.options.values():
            total *= len(options)
        return total

    def smallest(self) -> dict[str, Value]:
        return {k: v[0] for k, v in self.options.items()}

    def largest(self) -> dict[str, Value]:
        return {k: v[-1] for k, v in self.options.items()}

    def sample(self, rng: np.random.Generator) -> dict[str, Value]:
        """Every choice at random."""
        return {k: v[int(rng.integers(len(v)))] for k, v in self.options.items()}

    def mutate(self, choice: Choice, rng: np.random.Generator, rate: float = 0.1) -> dict[str, Value]:
        """Each choice made anew with probability `rate`; at least one of those that have more than one option."""
        free = [k for k, v in self.options.items() if len(v) > 1]
        if not free:
            return dict(choice)
        chosen = {k for k in free if rng.random() < rate} or {free[int(rng.integers(len(free)))]}
        out = dict(choice)
        for key in sorted(chosen):
            others = [v for v in self.options[key] if v != choice[key]]
            out[key] = others[int(rng.integers(len(others)))]
        return out

    def crossover(self, one: Choice, other: Choice, rng: np.random.Generator) -> dict[str, Value]:
        """Each choice from one of the two, at random."""
        return {k: (one if rng.random() < 0.5 else other)[k] for k in self.options}
