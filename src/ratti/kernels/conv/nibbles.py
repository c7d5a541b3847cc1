"""Convolution with 4-bit weights, two to a byte."""

from __future__ import annotations

from typing import ClassVar

from ...types import DType, pack_nibbles
from ..base import Call, Kernel, Table, Work
from ._sizes import LINEAR, channels, filters, sizes


class ConvNibbles(Kernel):
    name: ClassVar[str] = "conv_nibbles"
    header: ClassVar[str] = "conv/nibbles.h"
    ops = LINEAR
    weights = DType.INT4

    def instructions(self, work: Work) -> float:
        return work.macs * 16.0 + work.output.elements * 30

    def call(self, work: Work) -> Call:
        weights = Table("weights", "uint8_t", pack_nibbles(filters(work)))
        return Call("ratti_conv_nibbles", {"sizes": sizes(work)}, (weights, channels(work).table))
