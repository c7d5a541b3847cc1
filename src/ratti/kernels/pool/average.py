"""Average pooling."""

from __future__ import annotations

from typing import ClassVar

from ...ops.average_pool2d import AveragePool2D
from ..base import Call, Kernel, Overlap, Reach, Work
from ._sizes import constants, overlap, reach, taps


class PoolAverage(Kernel):
    name: ClassVar[str] = "pool_average"
    header: ClassVar[str] = "pool/average.h"
    ops = (AveragePool2D,)

    def instructions(self, work: Work) -> float:
        return taps(work) * 5 + work.output.elements * 20

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return overlap(work)

    def call(self, work: Work) -> Call:
        return Call("ratti_average_pool", {"sizes": constants(work)})
