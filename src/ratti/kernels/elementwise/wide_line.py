"""Ops of one int16 tensor that are a line on either side of zero, limited."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...fixed_point import quantize_multiplier
from ...ops.base import Activation
from ...ops.leaky_relu import LeakyRelu
from ...ops.relu import Relu
from ...ops.relu6 import Relu6
from ...ops.requantize import Requantize
from ...types import DType
from ..base import Call, Constant, Kernel, Overlap, Reach, Work

Scaling = tuple[int, int]  # multiplier, shift
Line = tuple[Scaling, Scaling, Activation]  # factors of what is not negative, and is; what limits the result
ONE: Scaling = (1 << 30, 1)


class ElementwiseWideLine(Kernel):
    name: ClassVar[str] = "wide_line"
    header: ClassVar[str] = "elementwise/wide_line.h"
    ops = (Relu, Relu6, LeakyRelu, Requantize)
    activations = (DType.INT16,)

    def instructions(self, work: Work) -> float:
        return work.output.elements * 25

    def reach(self, work: Work) -> Reach | None:
        return Reach() if len(work.output.shape) == 4 else None

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(0)

    def call(self, work: Work) -> Call:
        up, down, activation = LINES[type(work.op)](work.op, work)
        low, high = activation.code_range(work.output)
        fields: dict[str, Constant] = {
            "row_elements": work.row_elements,
            "up_multiplier": up[0],
            "up_shift": -up[1],
            "down_multiplier": down[0],
            "down_shift": -down[1],
            "low": low,
            "high": high,
        }
        return Call("ratti_wide_line", {"sizes": ("ratti_wide_line_sizes", fields)})


def _scale(work: Work) -> Scaling:
    return quantize_multiplier(work.types[0].scale / work.output.scale)


def _leaky(op: Any, work: Work) -> Line:
    up, down = op.multipliers(work.types[0], work.output)
    return up, down, Activation.NONE


LINES: Mapping[type, Callable[[Any, Work], Line]] = {
    Relu: lambda op, work: (_scale(work), (0, 0), Activation.RELU),
    Relu6: lambda op, work: (ONE, (0, 0), Activation.RELU6),
    LeakyRelu: _leaky,
    Requantize: lambda op, work: (_scale(work), _scale(work), Activation.NONE),
}
