"""One of several classes: the largest output is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...types import Array, Shape
from ..score import Score
from ..score import score as of_labels
from . import Answers, Look, Settings

if TYPE_CHECKING:
    from ..dataset import Part

METRIC = "accuracy"
WHAT = "An int8 classifier of {classes} classes"
USE = "one code per class; the largest is the answer"
LIMIT = "A class that the data do not show will still get an answer: the model cannot say that it does not know."
NETS = ()


def outputs(classes: int, shape: Shape) -> int:
    return classes


def learned(part: Part) -> Array:
    return np.ones(len(part), bool)


def targets(part: Part, real: Array, classes: int) -> Array:
    return part.y


def settle(answers: Answers, part: Part) -> Settings:
    return {}


def score(outputs: Array, part: Part, inputs: Array, classes: int, settings: Settings) -> Score:
    return of_labels(outputs, part.y)


def confusion(outputs: Array, part: Part, classes: int) -> tuple[tuple[int, ...], ...]:
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (part.y, outputs.argmax(axis=1)), 1)
    return tuple(tuple(int(n) for n in row) for row in counts)


def looks(outputs: Array, part: Part, inputs: Array, names: Sequence[str], settings: Settings) -> list[Look]:
    found = []
    for answer, label in zip(outputs.argmax(axis=1).tolist(), part.y.tolist(), strict=True):
        right = answer == label
        found.append(Look(names[label] if right else f"is {names[label]}, said {names[answer]}", right))
    return found
