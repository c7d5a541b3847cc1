"""Depthwise convolution with the vectors of Armv8.1-M."""

from __future__ import annotations

from typing import ClassVar

from ...ops.depthwise_conv2d import DepthwiseConv2D
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import channels, filters, reach, singly_overlap, sizes

MOST_TAPS = 25  # size of the array of pointers in mve.h


class DepthwiseMve(Kernel):
    name: ClassVar[str] = "depthwise_mve"
    header: ClassVar[str] = "depthwise/mve.h"
    ops = (DepthwiseConv2D,)
    requires = frozenset({"mve"})

    def supports(self, work: Work) -> bool:
        assert isinstance(work.op, DepthwiseConv2D)
        taps = filters(work).shape[1] * filters(work).shape[2]
        # Two products are added as int16, where (-128)**2 twice would not fit.
        return work.op.multiplier == 1 and taps <= MOST_TAPS and bool(filters(work).min() > -128)

    def instructions(self, work: Work) -> float:
        vectors = _pixels(work) * -(-work.output.shape[-1] // 16)
        return vectors * (work.macs / work.output.elements * 9 + 60) + _pixels(work) * 60

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return singly_overlap(work)  # channels in sixteens: no nearer than singly

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).transpose(1, 2, 0).ravel())
        tables, border = (weights, channels(work).table), work.output.shape[-1]
        return Call("ratti_depthwise_mve", {"sizes": sizes(work)}, tables, border)


def _pixels(work: Work) -> int:
    return work.output.elements // work.output.shape[-1]
