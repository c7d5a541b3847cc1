"""Depthwise convolution three by three in assembly, by strips of columns, in place."""

from __future__ import annotations

from typing import ClassVar

from ...ops.depthwise_conv2d import DepthwiseConv2D
from .._channels import Rounding
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import channels, filters, plane_banding, plane_overlap, reach, sizes

MOST_SHIFT = 22  # of two roundings in one step: the zero point, shifted, stays below 2^30
STRIP = 6  # output columns
PITCH = {1: 8, 2: 14}  # elements of a strip's row, by the stride


class DepthwiseStrips(Kernel):
    name: ClassVar[str] = "depthwise_strips"
    header: ClassVar[str] = "depthwise/strips.h"
    ops = (DepthwiseConv2D,)
    requires = frozenset({"dsp"})

    def supports(self, work: Work) -> bool:
        op, output = work.op, channels(work).output[1]
        assert isinstance(op, DepthwiseConv2D)
        plain = op.multiplier == 1 and op.dilation == (1, 1) and op.stride[1] in PITCH
        whole = (output["low"], output["high"]) == (-128, 127) and output["rounding"] != Rounding.GENERAL.value
        near = output["rounding"] == Rounding.SINGLE.value or channels(work).table.data[:, 2].max() <= MOST_SHIFT
        return bool(plain and whole and near) and filters(work).shape[1:] == (3, 3)

    def instructions(self, work: Work) -> float:
        strips = work.output.shape[3] * -(-work.output.shape[2] // STRIP)
        read = work.types[0].elements * 2.3
        return work.output.elements * 12 + strips * (work.output.shape[1] * 14 + 40) + read + work.output.shape[3] * 60

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def scratch_bytes(self, work: Work, rows: int) -> int | None:
        op = work.op
        assert isinstance(op, DepthwiseConv2D)
        strips = -(-work.output.shape[2] // STRIP)
        return int(strips * ((rows - 1) * op.stride[0] + 3) * PITCH[op.stride[1]] * 2)

    def banding(self, work: Work, rows: int) -> float:
        return plane_banding(work, rows)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return plane_overlap(work)

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).ravel())
        records = channels(work).table.data.copy()
        if channels(work).output[1]["rounding"] == Rounding.DOUBLE.value:
            records[:, 2] -= 1
        table = Table("channels", "ratti_channel", records)
        scratch = self.scratch_bytes(work, work.rows)
        return Call("ratti_depthwise_strips", {"sizes": sizes(work)}, (weights, table), scratch)
