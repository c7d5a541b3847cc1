"""Depthwise convolution with 4-bit weights, two to a byte."""

from __future__ import annotations

from typing import ClassVar

from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...types import DType, pack_nibbles
from ..base import Call, Constant, Kernel, Table, Work
from ._sizes import channels, filters, sizes


class DepthwiseNibbles(Kernel):
    name: ClassVar[str] = "depthwise_nibbles"
    header: ClassVar[str] = "depthwise/nibbles.h"
    ops = (DepthwiseConv2D,)
    weights = DType.INT4

    def instructions(self, work: Work) -> float:
        return work.macs * 16.0 + work.output.elements * 30

    def call(self, work: Work) -> Call:
        weights = Table("weights", "uint8_t", pack_nibbles(filters(work).transpose(1, 2, 0)))
        constants: dict[str, Constant] = {"sizes": sizes(work)}
        return Call("ratti_depthwise_nibbles", constants, (weights, channels(work).table))
