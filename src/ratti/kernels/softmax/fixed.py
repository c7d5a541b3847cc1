"""Softmax with a table of exponentials."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...ops.softmax import Softmax
from ..base import Call, Kernel, Overlap, Table, Work


class SoftmaxFixed(Kernel):
    name: ClassVar[str] = "softmax_fixed"
    header: ClassVar[str] = "softmax/fixed.h"
    ops = (Softmax,)

    def instructions(self, work: Work) -> float:
        return work.output.elements * 60 + 200

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(0)

    def call(self, work: Work) -> Call:
        op = work.op
        assert isinstance(op, Softmax)
        exponentials = op.exponentials(work.types[0])
        known = int(np.count_nonzero(exponentials))  # exponentials fall to 0 and stay there
        channels = work.output.shape[-1]
        # A row of the kernel is a vector of `channels`; all of them belong to the one row of the output that is split.
        constants = {"vectors": work.row_elements // channels, "channels": channels, "known": known}
        return Call("ratti_softmax", constants, (Table("exponentials", "int32_t", exponentials[:known]),))
