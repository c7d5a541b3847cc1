"""Depthwise convolution from its definition: any sizes, no scratch."""

from __future__ import annotations

from typing import ClassVar

from ...ops.depthwise_conv2d import DepthwiseConv2D
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import channels, filters, reach, singly_overlap, sizes


class DepthwiseDirect(Kernel):
    name: ClassVar[str] = "depthwise_direct"
    header: ClassVar[str] = "depthwise/direct.h"
    ops = (DepthwiseConv2D,)

    def instructions(self, work: Work) -> float:
        return work.macs * (12.0 if "multiply" in work.features else 22.0) + work.output.elements * 30

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return singly_overlap(work)

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).transpose(1, 2, 0).ravel())
        return Call("ratti_depthwise_direct", {"sizes": sizes(work)}, (weights, channels(work).table))
