"""Depthwise convolution of int16 activations with int8 weights."""

from __future__ import annotations

from typing import ClassVar

from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...types import DType
from .._channels import wide_channels
from ..base import Call, Constant, Kernel, Table, Work
from ._sizes import filters, sizes


class DepthwiseWide(Kernel):
    name: ClassVar[str] = "depthwise_wide"
    header: ClassVar[str] = "depthwise/wide.h"
    ops = (DepthwiseConv2D,)
    activations = (DType.INT16,)

    def instructions(self, work: Work) -> float:
        return work.macs * 16.0 + work.output.elements * 40

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).transpose(1, 2, 0).ravel())
        constants: dict[str, Constant] = {"sizes": sizes(work)}
        return Call("ratti_depthwise_wide", constants, (weights, wide_channels(work.operands, work.output)))
