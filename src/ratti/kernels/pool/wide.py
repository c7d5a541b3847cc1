"""Average and maximum pooling of int16 codes."""

from __future__ import annotations

from typing import ClassVar

from ...ops.average_pool2d import AveragePool2D
from ...ops.max_pool2d import MaxPool2D
from ...types import DType
from ..base import Call, Kernel, Reach, Work
from ._sizes import constants, reach, taps

MOST_TAPS = 1 << 15  # of a window, so that its sum stays in int32


class PoolWide(Kernel):
    name: ClassVar[str] = "pool_wide"
    header: ClassVar[str] = "pool/wide.h"
    ops = (AveragePool2D, MaxPool2D)
    activations = (DType.INT16,)

    def supports(self, work: Work) -> bool:
        return taps(work) < work.output.elements * MOST_TAPS

    def instructions(self, work: Work) -> float:
        return taps(work) * 6 + work.output.elements * 25

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def call(self, work: Work) -> Call:
        return Call("ratti_wide_pool", {"sizes": constants(work), "averages": int(isinstance(work.op, AveragePool2D))})
