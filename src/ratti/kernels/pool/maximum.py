"""Maximum pooling."""

from __future__ import annotations

from typing import ClassVar

from ...ops.max_pool2d import MaxPool2D
from ..base import Call, Kernel, Overlap, Reach, Work
from ._sizes import constants, overlap, reach, taps


class PoolMaximum(Kernel):
    name: ClassVar[str] = "pool_maximum"
    header: ClassVar[str] = "pool/maximum.h"
    ops = (MaxPool2D,)

    def instructions(self, work: Work) -> float:
        return taps(work) * 5 + work.output.elements * 20

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return overlap(work)

    def call(self, work: Work) -> Call:
        return Call("ratti_max_pool", {"sizes": constants(work)})
