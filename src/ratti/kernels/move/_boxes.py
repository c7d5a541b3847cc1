"""From what an op moves to boxes: parts of an output whose bytes lie at regular steps in an input.

The op itself is asked: it moves the numbers of elements instead of the elements, and the boxes are read off the result.
So every op that moves elements is served by one kernel, and none says twice what it does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...ops._move import Move
from ...types import Array
from ..base import Work

INNER = 4  # dimensions of a box below its rows
LARGEST_PERIOD = 8  # of rows that follow each other regularly
Dimension = tuple[int, int, int]  # count, step in the input, step in the output


@dataclass(frozen=True)
class Box:
    """Rows row_first + k * row_step for k < rows of the output; in each the elements that `inner` counts."""

    operand: int  # among the operands
    in_offset: int
    in_row: int  # step in the input from one row of the box to the next
    row_first: int
    row_step: int
    rows: int
    out_offset: int  # in the row
    inner: tuple[Dimension, ...]


def runs(box: Box, row_bytes: int) -> tuple[Array, int, Array]:
    """Where the kernel copies from, how many bytes at once, and where to, in its order: (n,), a number, (n,)."""
    row = np.arange(box.rows)
    source = box.in_offset + box.in_row * row
    place = (box.row_first + box.row_step * row) * row_bytes + box.out_offset
    length = box.inner[-1][0] if box.inner and box.inner[-1][1:] == (1, 1) else 1
    for count, in_step, out_step in box.inner[:-1] if length > 1 else box.inner:
        steps = np.arange(count)
        source = (source[:, None] + steps * in_step).ravel()
        place = (place[:, None] + steps * out_step).ravel()
    return source, length, place


@lru_cache(maxsize=256)
def boxes(work: Work) -> tuple[Box, ...] | None:
    """The boxes that make up the output of a `Move`; None where its operands do not lie in boxes of few dimensions."""
    assert isinstance(work.op, Move)
    numbers = [np.arange(t.elements).reshape(t.shape) for t in work.types]
    owners = [np.full(t.shape, k) for k, t in enumerate(work.types)]
    shape = (work.rows, *(work.output.shape[2:] if work.rows > 1 else work.output.shape))
    (moved,), (owner,) = work.op.move(numbers, -1), work.op.move(owners, -1)
    moved, owner = moved.reshape(shape), owner.reshape(shape)
    size = work.output.dtype.bytes
    if size > 1:  # a last dimension: the bytes of an element
        moved, owner = moved[..., None] * size + np.arange(size), np.repeat(owner[..., None], size, axis=-1)
    places = np.arange(moved[0].size).reshape(moved.shape[1:])
    found = []
    for operand in range(len(work.types)):
        held = np.nonzero(owner == operand)
        if not held[0].size:
            continue
        chosen = tuple(slice(int(h.min()), int(h.max()) + 1) for h in held)
        if not (owner[chosen] == operand).all():
            return None
        for first, step, part in _rows(moved[chosen]):
            for source, place in _parts(part, places[chosen[1:]]):
                (rows, in_row), *rest = _steps(source)
                inner = _longest_last(_merged([(n, s, p) for (n, s), (_, p) in zip(rest, _steps(place), strict=True)]))
                if len(inner) > INNER:
                    return None
                begin, at = int(source.flat[0]), int(place.flat[0])
                found.append(Box(operand, begin, in_row, chosen[0].start + first, step, rows, at, inner))
    return tuple(found)


def _rows(rows: Array) -> Iterator[tuple[int, int, Array]]:
    """(first row, step, rows) of parts in which rows follow each other regularly: every n-th row, or stretches."""
    for period in range(1, min(len(rows), LARGEST_PERIOD) + 1):
        if all(_regular(rows[k::period], 0) for k in range(period)):
            yield from ((k, period, rows[k::period]) for k in range(period))
            return
    ends = _ends(rows, 0)
    yield from ((begin, 1, rows[begin:end]) for begin, end in zip((0, *ends), ends, strict=False))


def _parts(source: Array, place: Array, axis: int = 1) -> Iterator[tuple[Array, Array]]:
    """Regular parts of (rows, …) and the places of their elements in a row."""
    if axis == source.ndim:
        yield source, place
        return
    ends = _ends(source, axis)
    if len(ends) == 1:
        yield from _parts(source, place, axis + 1)
        return
    size, rest = ends[0], source.shape[axis] % ends[0]
    blocks_shape = (*source.shape[:axis], source.shape[axis] // size, size, *source.shape[axis + 1 :])
    if size > 1 and not rest:
        blocks = source.reshape(blocks_shape)
        if _regular(blocks, axis) and _regular(blocks, axis + 1):
            yield from _parts(blocks, place.reshape(blocks_shape[1:]), axis)
            return
    for begin, end in zip((0, *ends), ends, strict=False):
        chosen = (slice(None),) * axis + (slice(begin, end),)
        yield from _parts(source[chosen], place[chosen[1:]], axis + 1)


def _regular(numbers: Array, axis: int) -> bool:
    """True where each step along `axis` is the same everywhere."""
    return len(_ends(numbers, axis)) == 1


def _ends(numbers: Array, axis: int) -> list[int]:
    """Where stretches of one step along `axis` end."""
    size = numbers.shape[axis]
    steps = np.diff(np.moveaxis(numbers, axis, 0).reshape(size, -1), axis=0)
    uniform = (steps == steps[:, :1]).all(axis=1)
    ends, begin = [], 0
    for k in range(1, size):
        if not uniform[k - 1] or (k - 1 > begin and steps[k - 1, 0] != steps[begin, 0]):
            ends.append(k)
            begin = k
    return [*ends, size]


def _steps(numbers: Array) -> list[tuple[int, int]]:
    """(count, step) of each dimension of regular numbers."""
    first = numbers.flat[0]
    return [
        (n, int(numbers[(0,) * d + (1,) + (0,) * (numbers.ndim - d - 1)] - first) if n > 1 else 0)
        for d, n in enumerate(numbers.shape)
    ]


def _merged(dimensions: list[Dimension]) -> tuple[Dimension, ...]:
    """Without dimensions of 1, and those in one that follow each other in both the input and the output."""
    out: list[Dimension] = []
    for count, source, place in dimensions:
        if count == 1:
            continue
        if out and out[-1][1] == count * source and out[-1][2] == count * place:
            out[-1] = (out[-1][0] * count, source, place)
        else:
            out.append((count, source, place))
    return tuple(out)


def _longest_last(dimensions: tuple[Dimension, ...]) -> tuple[Dimension, ...]:
    """Where elements are copied singly, the innermost loop is the one with most of them."""
    if not dimensions or dimensions[-1][1:] == (1, 1):
        return dimensions
    longest = max(range(len(dimensions)), key=lambda k: dimensions[k][0])
    return (*dimensions[:longest], *dimensions[longest + 1 :], dimensions[longest])
