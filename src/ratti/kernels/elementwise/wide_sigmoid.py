"""Logistic function and hyperbolic tangent of int16 codes, from one table."""

from __future__ import annotations

from typing import ClassVar

from ...ops._wide import Sigmoid, argument_scaling, sigmoid_table
from ...ops.logistic import Logistic
from ...ops.tanh import Tanh
from ...types import DType
from ..base import Call, Constant, Kernel, Overlap, Reach, Table, Work


class ElementwiseWideSigmoid(Kernel):
    name: ClassVar[str] = "wide_sigmoid"
    header: ClassVar[str] = "elementwise/wide_sigmoid.h"
    ops = (Logistic, Tanh)
    activations = (DType.INT16,)

    def instructions(self, work: Work) -> float:
        return work.output.elements * 25

    def reach(self, work: Work) -> Reach | None:
        return Reach() if len(work.output.shape) == 4 else None

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(0)

    def call(self, work: Work) -> Call:
        op = work.op
        assert isinstance(op, (Logistic, Tanh))
        form: Sigmoid = op.wide
        multiplier, shift = argument_scaling(work.types[0])
        fields: dict[str, Constant] = {"row_elements": work.row_elements, "multiplier": multiplier, "shift": shift}
        fields |= {"bits": form.bits, "end": form.end}
        fields |= {"positive": form.positive, "negative": form.negative, "right": form.right}
        table = Table("entries", "uint16_t", sigmoid_table())
        return Call("ratti_wide_sigmoid", {"sizes": ("ratti_wide_sigmoid_sizes", fields)}, (table,))
