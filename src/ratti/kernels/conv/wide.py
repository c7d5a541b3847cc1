"""Convolution of int16 activations with int8 weights."""

from __future__ import annotations

from typing import ClassVar

from ...types import DType
from .._channels import wide_channels
from ..base import Call, Kernel, Table, Work
from ._sizes import LINEAR, filters, short_sums, sizes


class ConvWide(Kernel):
    name: ClassVar[str] = "conv_wide"
    header: ClassVar[str] = "conv/wide.h"
    ops = LINEAR
    activations = (DType.INT16,)

    def instructions(self, work: Work) -> float:
        return work.macs * 16.0 + work.output.elements * 40

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).ravel())
        records = wide_channels(work.operands, work.output, short_sums(work))
        return Call("ratti_conv_wide", {"sizes": sizes(work)}, (weights, records))
