"""Any unary int8 op, as a table of 256 codes."""

from __future__ import annotations

from typing import ClassVar

from ...ops._unary import Unary
from ..base import Call, Kernel, Overlap, Reach, Table, Work


class ElementwiseTable(Kernel):
    name: ClassVar[str] = "table"
    header: ClassVar[str] = "elementwise/table.h"
    ops = (Unary,)

    def instructions(self, work: Work) -> float:
        return work.output.elements * 6

    def reach(self, work: Work) -> Reach | None:
        return Reach() if len(work.output.shape) == 4 else None

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(0)

    def call(self, work: Work) -> Call:
        assert isinstance(work.op, Unary)
        results = Table("results", "int8_t", work.op.table(work.types[0], work.output))
        return Call("ratti_table", {"row_elements": work.row_elements}, (results,))
