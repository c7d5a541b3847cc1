"""The place of the largest element."""

from __future__ import annotations

import math
from typing import ClassVar

from ...ops.arg_max import ArgMax
from ..base import Call, Kernel, Work


class PoolArgMax(Kernel):
    name: ClassVar[str] = "arg_max"
    header: ClassVar[str] = "pool/arg_max.h"
    ops = (ArgMax,)

    def supports(self, work: Work) -> bool:
        assert isinstance(work.op, ArgMax)
        return work.rows == 1 or work.op.axis > 1

    def instructions(self, work: Work) -> float:
        return work.types[0].elements * 6 + work.output.elements * 10

    def call(self, work: Work) -> Call:
        assert isinstance(work.op, ArgMax)
        shape, axis = work.types[0].shape, work.op.axis
        outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
        return Call("ratti_arg_max", {"row_outer": outer // work.rows, "count": shape[axis], "inner": inner})
