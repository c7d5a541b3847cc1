"""All search spaces: what they offer, and what is made of it."""

from __future__ import annotations

import numpy as np
import pytest

from ratti.errors import InputError
from ratti.nets import from_yaml, to_yaml
from ratti.search import spaces
from ratti.search.spaces import Space, Task

TASKS = {
    "pictures": Task(((32, 32, 3), (48, 48, 3)), 10),
    "digits": Task(((8, 8, 1),), 10),
    "spectrogram": Task(((49, 10, 1),), 12),
    "signal": Task(((128, 1, 2),), 5, numbers=2),
}
DRAWN = 25


def offered() -> list[tuple[str, str]]:
    found = []
    for name in spaces.names():
        for label, task in TASKS.items():
            try:
                spaces.load(name, task)
            except InputError:
                continue
            found.append((name, label))
    return found


each = pytest.mark.parametrize(("name", "task"), offered())


def make(name: str, task: str) -> Space:
    return spaces.load(name, TASKS[task])


def test_every_kind_of_data_has_a_space() -> None:
    assert {task for _, task in offered()} == set(TASKS)
    for task in TASKS.values():
        assert spaces.suited(task, 1 << 16) in spaces.names()
        assert spaces.suited(task, 2048) == "tiny"
    assert spaces.suited(TASKS["spectrogram"], 1 << 16) == "ds_cnn"
    assert spaces.suited(TASKS["pictures"], 1 << 16) == "mobilenet"


@each
def test_nets_take_the_task_and_keep_their_place(name: str, task: str, rng: np.random.Generator) -> None:
    space = make(name, task)
    largest = space.spec(space.largest())
    drawn = [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(DRAWN))]
    for choice in drawn:
        spec = space.spec(choice)
        assert spec.input_shape in space.task.shapes
        assert (spec.classes, spec.numbers) == (space.task.classes, space.task.numbers)
        assert from_yaml(to_yaml(spec)) == spec
        if choice["input"] != space.largest()["input"]:
            continue  # blocks follow the input's size; weights are shared at one size
        places = space.places(choice)
        assert list(places) == sorted(set(places))
        for at, block in zip(places, spec.blocks, strict=True):
            assert type(largest.blocks[at]) is type(block)
    assert len({space.spec(c) for c in drawn}) > 5


@each
def test_options_come_cheapest_first(name: str, task: str) -> None:
    space = make(name, task)
    assert space.spec(space.smallest()).parameters < space.spec(space.largest()).parameters


@each
def test_mutation_and_crossover_stay_inside(name: str, task: str, rng: np.random.Generator) -> None:
    space = make(name, task)
    one, other = space.sample(rng), space.sample(rng)
    for _ in range(DRAWN):
        mutant, child = space.mutate(one, rng), space.crossover(one, other, rng)
        assert mutant != one
        assert all(mutant[k] in v for k, v in space.options.items())
        assert all(child[k] in (one[k], other[k]) for k in space.options)


@each
def test_narrowing_makes_choices(name: str, task: str, rng: np.random.Generator) -> None:
    space = make(name, task)
    part = space.narrowed(width=space.options["width"][1])
    assert all(part.sample(rng)["width"] == space.options["width"][1] for _ in range(5))
    assert part.size * len(space.options["width"]) == space.size


def test_what_is_no_option_is_refused() -> None:
    space = make("tiny", "digits")
    with pytest.raises(InputError, match=r"width is 7; it may be"):
        space.spec({**space.smallest(), "width": 7})
    with pytest.raises(InputError, match="mobilenet does not take inputs"):
        spaces.load("mobilenet", TASKS["signal"])
    with pytest.raises(InputError, match="did you mean tiny"):
        spaces.load("tinny", TASKS["digits"])
