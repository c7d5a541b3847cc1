"""Depthwise convolution on padded planes, in place."""

from __future__ import annotations

from typing import ClassVar

from ...ops.depthwise_conv2d import DepthwiseConv2D
from ..base import Call, Kernel, Overlap, Table, Work
from ._sizes import channels, filters, plane_overlap, sizes

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

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return plane_overlap(work)

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).ravel())
        return Call(
            "ratti_depthwise_plane", {"sizes": sizes(work)}, (weights, channels(work).table), self._plane_bytes(work)
        )

    @staticmethod
    def _plane_bytes(work: Work) -> int:
        assert isinstance(work.op, DepthwiseConv2D)
        _, kh, kw = filters(work).shape
        _, out_h, out_w, _ = work.output.shape
        (stride_h, stride_w) = work.op.stride
        height, width = (out_h - 1) * stride_h + int(kh), (out_w - 1) * stride_w + int(kw)
        return height * width
