"""Depthwise convolution with the dual 16-bit multiply, on int16 planes, in place."""

from __future__ import annotations

from typing import ClassVar

from ...ops.depthwise_conv2d import DepthwiseConv2D
from ..base import Call, Kernel, Table, Work
from ._sizes import channels, filters, sizes

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

    def in_place(self, work: Work) -> tuple[int, ...]:
        # Channel by channel, output pixel p takes the place of input pixel p, which the plane has already.
        return (0,) if work.output.elements <= work.types[0].elements else ()

    def call(self, work: Work) -> Call:
        op = work.op
        assert isinstance(op, DepthwiseConv2D)
        _, rows, columns = filters(work).shape
        _, out_h, out_w, _ = work.output.shape
        height = (out_h - 1) * op.stride[0] + rows
        width = ((out_w - 1) * op.stride[1] + columns + 3) // 2 * 2
        weights = Table("weights", "int8_t", filters(work).ravel())
        return Call("ratti_depthwise_dsp", {"sizes": sizes(work)}, (weights, channels(work).table), height * width * 2)
