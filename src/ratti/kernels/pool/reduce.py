"""Sums, means and largest elements over any dimensions."""

from __future__ import annotations

import math
from typing import ClassVar

from ...ops._reduce import Reduce
from ...ops.base import Activation
from ...ops.mean import Mean
from ...ops.reduce_max import ReduceMax
from ...ops.sum import Sum
from .._channels import Rounding, output_struct
from ..base import Call, Constant, Kernel, Work

KEPT, REDUCED = 3, 2  # dimensions that a call can take
Dimension = tuple[int, int]  # count, step in the input


class PoolReduce(Kernel):
    name: ClassVar[str] = "reduce"
    header: ClassVar[str] = "pool/reduce.h"
    ops = (Mean, ReduceMax, Sum)

    def supports(self, work: Work) -> bool:
        _, kept, reduced = _dimensions(work)
        return len(kept) <= KEPT and len(reduced) <= REDUCED and work.types[0].elements < 1 << 22

    def instructions(self, work: Work) -> float:
        return work.types[0].elements * 6 + work.output.elements * 30

    def call(self, work: Work) -> Call:
        op, source = work.op, work.types[0]
        row, kept, reduced = _dimensions(work)
        fields: dict[str, Constant] = {"largest": int(isinstance(op, ReduceMax)), "in_row": row}
        for k, (count, step) in enumerate([(1, 0)] * (KEPT - len(kept)) + kept):
            fields |= {f"n{k}": count, f"in{k}": step}
        for k, (count, step) in enumerate([(1, 0)] * (REDUCED - len(reduced)) + reduced):
            fields |= {f"r{k}": count, f"step{k}": step}
        multiplier, shift = op.multiplier(source, work.output) if isinstance(op, (Mean, Sum)) else (0, 0)
        fields |= {"in_zero": source.zero_point, "multiplier": multiplier, "shift": -shift}
        fields["out"] = output_struct(work.output, Activation.NONE, Rounding.GENERAL)
        return Call("ratti_reduce", {"sizes": ("ratti_reduce_sizes", fields)})


def _dimensions(work: Work) -> tuple[int, list[Dimension], list[Dimension]]:
    """The step from row to row of the output, the dimensions that stay in a row, and those that are reduced."""
    op, shape = work.op, work.types[0].shape
    assert isinstance(op, Reduce)
    steps = [(n, math.prod(shape[d + 1 :])) for d, n in enumerate(shape)]
    kept = [(1, 0) if d in op.axes else s for d, s in enumerate(steps) if op.keep_dims or d not in op.axes]
    row = 0
    if work.rows > 1:
        row, kept = kept[1][1], kept[2:]
    return row, _merged(kept), _merged([s for d, s in enumerate(steps) if d in op.axes])


def _merged(dimensions: list[Dimension]) -> list[Dimension]:
    out: list[Dimension] = []
    for count, step in dimensions:
        if count == 1:
            continue
        if out and out[-1][1] == count * step:
            out[-1] = (out[-1][0] * count, step)
        else:
            out.append((count, step))
    return out
