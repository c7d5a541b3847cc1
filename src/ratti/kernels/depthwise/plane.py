"""Depthwise convolution on padded planes, in place."""

from __future__ import annotations

from typing import ClassVar

from ...ops.depthwise_conv2d import DepthwiseConv2D
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import channels, filters, plane_banding, plane_overlap, reach, sizes

MOST_TAPS = 25  # size of the register array in plane.h


class DepthwisePlane(Kernel):
    name: ClassVar[str] = "depthwise_plane"
    header: ClassVar[str] = "depthwise/plane.h"
    ops = (DepthwiseConv2D,)

    def supports(self, work: Work) -> bool:
        assert isinstance(work.op, DepthwiseConv2D)
        taps = filters(work).shape[1] * filters(work).shape[2]
        return work.op.multiplier == 1 and work.op.dilation == (1, 1) and taps <= MOST_TAPS

    def instructions(self, work: Work) -> float:
        per_mac = 3.0 if "multiply" in work.features else 12.0
        return work.macs * per_mac + work.output.elements * 15 + work.types[0].elements * 3

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
        return Call("ratti_depthwise_plane", {"sizes": sizes(work)}, (weights, channels(work).table), scratch)

    @staticmethod
    def _plane_bytes(work: Work, rows: int) -> int:
        assert isinstance(work.op, DepthwiseConv2D)
        _, kh, kw = filters(work).shape
        out_w = work.output.shape[2]
        (stride_h, stride_w) = work.op.stride
        height, width = (rows - 1) * stride_h + int(kh), (out_w - 1) * stride_w + int(kw)
        return height * width
