"""Softmax of int16 codes with tables of exponentials and reciprocals."""

from __future__ import annotations

from typing import ClassVar

from ...ops.softmax import Softmax
from ...types import DType
from ..base import Call, Kernel, Overlap, Table, Work


class SoftmaxWide(Kernel):
    name: ClassVar[str] = "softmax_wide"
    header: ClassVar[str] = "softmax/wide.h"
    ops = (Softmax,)
    activations = (DType.INT16,)

    def instructions(self, work: Work) -> float:
        return work.output.elements * 90 + 200

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(0)

    def call(self, work: Work) -> Call:
        op = work.op
        assert isinstance(op, Softmax)
        exponentials, reciprocals = op.wide_tables()
        multiplier, shift = op.wide_scaling(work.types[0])
        channels = work.output.shape[-1]
        # A row of the kernel is a vector of `channels`; all of them belong to the one row of the output that is split.
        constants = {"vectors": work.row_elements // channels, "channels": channels}
        constants |= {"multiplier": multiplier, "shift": -shift}
        tables = Table("exponentials", "int16_t", exponentials), Table("reciprocals", "int16_t", reciprocals)
        return Call("ratti_wide_softmax", constants, tables)
