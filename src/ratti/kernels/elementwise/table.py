"""Any int8 op of one varying element, as a table of 256 codes: unary ops, and binary ones with a constant number."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...ops._binary import Binary
from ...ops._unary import Unary
from ...types import Array, TensorType
from ..base import Call, Kernel, Overlap, Reach, Table, Work


class ElementwiseTable(Kernel):
    name: ClassVar[str] = "table"
    header: ClassVar[str] = "elementwise/table.h"
    ops = (Unary, Binary)

    def supports(self, work: Work) -> bool:
        return isinstance(work.op, Unary) or any(o.data is not None and o.data.size == 1 for o in work.operands)

    def instructions(self, work: Work) -> float:
        return work.output.elements * 6

    def reach(self, work: Work) -> Reach | None:
        return Reach() if len(work.output.shape) == 4 else None

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(0)

    def call(self, work: Work) -> Call:
        results = Table("results", "int8_t", _results(work))
        return Call("ratti_table", {"row_elements": work.row_elements}, (results,))


def _results(work: Work) -> Array:
    """What becomes of the codes -128 … 127."""
    op, codes = work.op, np.arange(-128, 128).astype(np.int8)
    if isinstance(op, Unary):
        return op.table(work.types[0], work.output)
    output = TensorType(codes.shape, work.output.dtype, work.output.quant)
    arrays = [codes if o.data is None else o.data.ravel() for o in work.operands]
    return op.evaluate(arrays, work.types, [output])[0]
