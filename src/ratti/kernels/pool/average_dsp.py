"""Average pooling, four channels at a time."""

from __future__ import annotations

from typing import ClassVar

from ...ops.average_pool2d import AveragePool2D
from ..base import Call, Kernel, Overlap, Reach, Work
from ._sizes import constants, overlap, reach, taps

MOST_TAPS = 255  # whose sum fits 16 bits


class PoolAverageDsp(Kernel):
    name: ClassVar[str] = "pool_average_dsp"
    header: ClassVar[str] = "pool/average_dsp.h"
    ops = (AveragePool2D,)
    requires = frozenset({"dsp"})

    def supports(self, work: Work) -> bool:
        assert isinstance(work.op, AveragePool2D)
        return work.output.shape[3] % 4 == 0 and work.op.kernel[0] * work.op.kernel[1] <= MOST_TAPS

    def instructions(self, work: Work) -> float:
        return taps(work) * 1.5 + work.output.elements * 20

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return overlap(work)

    def call(self, work: Work) -> Call:
        return Call("ratti_average_pool_dsp", {"sizes": constants(work)})
