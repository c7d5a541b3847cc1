"""Mean over adjacent dimensions."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from ...ops.base import Activation
from ...ops.mean import Mean
from .._channels import FAST_LIMIT, Rounding, output_struct
from .._overlap import stored_singly
from ..base import Call, Constant, Kernel, Overlap, Work


class PoolMean(Kernel):
    name: ClassVar[str] = "mean"
    header: ClassVar[str] = "pool/mean.h"
    ops = (Mean,)

    def supports(self, work: Work) -> bool:
        assert isinstance(work.op, Mean)
        axes = work.op.axes
        adjacent = axes == tuple(range(axes[0], axes[-1] + 1))
        return adjacent and self._outer(work) % work.rows == 0

    @staticmethod
    def _outer(work: Work) -> int:
        """Elements of the dimensions before those that are averaged."""
        assert isinstance(work.op, Mean)
        return math.prod(work.types[0].shape[: work.op.axes[0]])

    def instructions(self, work: Work) -> float:
        return work.types[0].elements * 4 + work.output.elements * 25

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        outer, elements = self._outer(work), work.types[0].elements
        begins = np.arange(outer, dtype=np.int64) * (elements // outer)
        distance = stored_singly(begins, np.arange(work.output.elements // outer))
        return Overlap(-elements if distance is None else distance)

    def call(self, work: Work) -> Call:
        op, source = work.op, work.types[0]
        assert isinstance(op, Mean)
        multiplier, shift = op.multiplier(source, work.output)
        count = op.count(source.shape)
        low, high = source.dtype.limits
        wide = shift > -1 or (high - low) * count >= FAST_LIMIT
        fields: dict[str, Constant] = {
            "row_outer": self._outer(work) // work.rows,
            "count": count,
            "inner": work.output.elements // self._outer(work),
            "in_zero": source.zero_point,
            "multiplier": multiplier,
            "shift": -shift,
            "out": output_struct(work.output, Activation.NONE, Rounding.GENERAL if wide else Rounding.DOUBLE),
        }
        return Call("ratti_mean", {"sizes": ("ratti_mean_sizes", fields)})
