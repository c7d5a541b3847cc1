"""Where small objects are: each cell of a coarse grid is background or holds the center of an object of a class.

Source: Edge Impulse's description of FOMO ("Faster Objects, More Objects", docs.edgeimpulse.com): a classifier cut off
at an eighth of the resolution, one answer a cell, a loss that weighs objects above background, neighboring cells of one
class fused to one centroid. Class 0 is the background. A found centroid is right where a true one of its class, taken
once, is within one cell of it in both directions; the figure is F1 over all centroids of a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...emit.answers.centroids import CELL
from ...errors import DataError
from ...types import Array, Shape
from ..score import Score
from . import Answers, Look, Settings

if TYPE_CHECKING:
    from ..dataset import Part

METRIC = "F1"
WHAT = "An int8 finder of object centers ({classes} classes, background among them)"
USE = ("for each cell of 8x8 pixels, row by row, one code per class, the background's first; the largest is the "
       "answer, and neighboring cells with one answer are one object, in their middle")
LIMIT = ("It finds centers, not outlines or sizes; objects of one class nearer than two cells (16 pixels) become one, "
         "and objects much larger or smaller than in training are missed.")
NETS = ("fomo",)
Point = tuple[float, float, int]  # row and column in cells, class


def grid(shape: Shape) -> tuple[int, int]:
    """Cells of an input of `shape` (H, W, C); those at the end may be cut."""
    return -(-shape[0] // CELL), -(-shape[1] // CELL)


def outputs(classes: int, shape: Shape) -> int:
    h, w = grid(shape)
    return h * w * classes


def learned(part: Part) -> Array:
    return np.ones(len(part), bool)


def targets(part: Part, real: Array, classes: int) -> Array:
    """(N, cells) int64: the class of each cell."""
    h, w = grid(real.shape[1:])
    cells = np.zeros((len(part), h, w), np.int64)
    for k in range(len(part)):
        for row, column, kind in truth(part, k):
            cells[k, min(int(row), h - 1), min(int(column), w - 1)] = kind
    return cells.reshape(len(part), -1)


def truth(part: Part, k: int) -> list[Point]:
    """The objects of sample `k`."""
    if part.points is None:
        raise DataError("the goal 'centroids' needs data that say where objects are, such as 'pests'")
    return [(float(r) / CELL, float(c) / CELL, int(kind)) for r, c, kind in part.points[k] if kind > 0]


def decode(outputs: Array, shape: tuple[int, int]) -> list[Point]:
    """Centroids in the outputs (cells * classes,) of one sample: connected cells of one class, corners included."""
    kinds = outputs.reshape(*shape, -1).argmax(axis=2)
    found: list[Point] = []
    todo = {(int(r), int(c)) for r, c in np.argwhere(kinds > 0)}
    while todo:
        start = min(todo)
        todo.discard(start)
        kind, cells, front = kinds[start], [start], [start]
        while front:
            r, c = front.pop()
            near = [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            new = [p for p in near if p in todo and kinds[p] == kind]
            todo.difference_update(new)
            cells += new
            front += new
        row, column = np.mean(cells, axis=0) + 0.5
        found.append((float(row), float(column), int(kind)))
    return found


def matched(found: Sequence[Point], true: Sequence[Point]) -> list[tuple[int, int]]:
    """Pairs (index of found, index of true) of one class within a cell, the nearest first, each taken once."""
    near = sorted((max(abs(f[0] - t[0]), abs(f[1] - t[1])), i, j) for i, f in enumerate(found)
                  for j, t in enumerate(true) if f[2] == t[2])
    pairs: list[tuple[int, int]] = []
    for distance, i, j in near:
        if distance <= 1 and all(i != a and j != b for a, b in pairs):
            pairs.append((i, j))
    return pairs


def settle(answers: Answers, part: Part) -> Settings:
    return {}


def score(outputs: Array, part: Part, inputs: Array, classes: int, settings: Settings) -> Score:
    shape, right, found_all = grid(inputs.shape[1:]), np.zeros(classes), np.zeros(classes)
    true_all = np.zeros(classes)
    for k in range(len(part)):
        found, true = decode(outputs[k], shape), truth(part, k)
        for i, _ in matched(found, true):
            right[found[i][2]] += 1
        for counts, points in ((found_all, found), (true_all, true)):
            np.add.at(counts, [p[2] for p in points], 1)
    precision = float(right.sum() / max(found_all.sum(), 1))
    recall = float(right.sum() / max(true_all.sum(), 1))
    f1 = float(2 * right.sum() / max(found_all.sum() + true_all.sum(), 1))
    each = tuple(float(r / t) if t else None for r, t in zip(right, true_all, strict=True))
    return Score(len(part), f1, f1, each, {"precision": precision, "recall": recall})


def confusion(outputs: Array, part: Part, classes: int) -> tuple[tuple[int, ...], ...]:
    return ()


def looks(outputs: Array, part: Part, inputs: Array, names: Sequence[str], settings: Settings) -> list[Look]:
    shape, tiles = grid(inputs.shape[1:]), []
    for k in range(len(part)):
        found, true = decode(outputs[k], shape), truth(part, k)
        pairs = len(matched(found, true))
        words = f"{pairs} of {len(true)} found" + (f", {len(found) - pairs} wrong" if len(found) > pairs else "")
        marks = [(CELL * p[0], CELL * p[1], int(side)) for side, points in ((0, true), (1, found)) for p in points]
        tiles.append(Look(words, len(true) == len(found) == pairs, tuple(marks)))
    return tiles
