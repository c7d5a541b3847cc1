"""Sum of two tensors."""

from __future__ import annotations

from typing import ClassVar

from ...ops.add import Add
from .._channels import Rounding, output_struct
from ..base import Call, Constant, Kernel, Overlap, Reach, Work


class ElementwiseAdd(Kernel):
    name: ClassVar[str] = "add"
    header: ClassVar[str] = "elementwise/add.h"
    ops = (Add,)

    def supports(self, work: Work) -> bool:
        return all(o.data is None and o.type.shape == work.output.shape for o in work.operands)

    def instructions(self, work: Work) -> float:
        return work.output.elements * 25

    def reach(self, work: Work) -> Reach | None:
        return Reach() if len(work.output.shape) == 4 else None

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(0)

    def call(self, work: Work) -> Call:
        op = work.op
        assert isinstance(op, Add)
        first, second, total = op.multipliers(work.types, work.output)
        fields: dict[str, Constant] = {
            "row_elements": work.row_elements,
            "in_zero": work.types[0].zero_point,
            "in_multiplier": first[0],
            "in_shift": -first[1],
            "other_zero": work.types[1].zero_point,
            "other_multiplier": second[0],
            "other_shift": -second[1],
            "out_multiplier": total[0],
            "out_shift": -total[1],
            "out": output_struct(work.output, op.activation, Rounding.GENERAL if total[1] > -1 else Rounding.DOUBLE),
        }
        return Call("ratti_add", {"sizes": ("ratti_add_sizes", fields)})
