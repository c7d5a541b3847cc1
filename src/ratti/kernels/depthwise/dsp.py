"""Depthwise convolution with the dual 16-bit multiply, on int16 planes, in place."""

from __future__ import annotations

from typing import ClassVar

from ...ops.depthwise_conv2d import DepthwiseConv2D
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import channels, filters, plane_banding, plane_overlap, reach, sizes

MOST_ROWS = 5  # kernel rows whose weights stay in registers


class DepthwiseDsp(Kernel):
    name: ClassVar[str] = "depthwise_dsp"
    header: ClassVar[str] = "depthwise/dsp.h"
    ops = (DepthwiseConv2D,)
    requires = frozenset({"dsp"})

    def supports(self, work: Work) -> bool:
        op = work.op
        assert isinstance(op, DepthwiseConv2D)
        _, rows, columns = filters(work).shape
        plain = op.multiplier == 1 and op.dilation == (1, 1)
        return plain and columns == 3 and rows <= MOST_ROWS and op.stride[1] in (1, 2)

    def instructions(self, work: Work) -> float:
        return work.macs * 1.6 + work.output.elements * 6 + work.types[0].elements * 2.7

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def scratch_bytes(self, work: Work, rows: int) -> int | None:
        return self._plane_bytes(work, rows)

    def banding(self, work: Work, rows: int) -> float:
        return plane_banding(work, rows)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return plane_overlap(work)

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).ravel())
        scratch = self._plane_bytes(work, work.rows)
        return Call("ratti_depthwise_dsp", {"sizes": sizes(work)}, (weights, channels(work).table), scratch)

    @staticmethod
    def _plane_bytes(work: Work, rows: int) -> int:
        op = work.op
        assert isinstance(op, DepthwiseConv2D)
        _, kernel_h, kernel_w = filters(work).shape
        height = (rows - 1) * op.stride[0] + int(kernel_h)
        width = ((work.output.shape[2] - 1) * op.stride[1] + int(kernel_w) + 3) // 2 * 2
        return height * width * 2
