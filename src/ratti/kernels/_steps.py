"""How operands of other shapes are walked along with the output: a step for each dimension, 0 where one is repeated."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Shape

Steps = tuple[int, int]  # of the first operand and of the second
Dimension = tuple[int, Steps]


def steps(output: Shape, operands: Sequence[Shape], rows: int) -> tuple[Steps, list[Dimension]]:
    """The steps from row to row, and the dimensions of a row; those that are walked like one are one."""
    first, second = (_steps(shape, output) for shape in operands)
    dimensions = list(zip(output, zip(first, second, strict=True), strict=True))
    row: Steps = (0, 0)
    if rows > 1:
        row = dimensions[1][1]
        dimensions = dimensions[2:]
    merged: list[Dimension] = []
    for count, step in dimensions:
        if count == 1:
            continue
        if merged and merged[-1][1] == (count * step[0], count * step[1]):
            merged[-1] = (merged[-1][0] * count, step)
        else:
            merged.append((count, step))
    return row, merged


def _steps(shape: Shape, output: Shape) -> list[int]:
    out, step = [], 1
    for d in range(1, len(output) + 1):
        size = shape[-d] if d <= len(shape) else 1
        out.append(0 if size == 1 else step)
        step *= size
    return out[::-1]
