"""Depthwise convolution from its definition: any sizes, no scratch."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...ops.depthwise_conv2d import DepthwiseConv2D
from .._overlap import first_bytes, stored_singly
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import channels, filters, reach, sizes


class DepthwiseDirect(Kernel):
    name: ClassVar[str] = "depthwise_direct"
    header: ClassVar[str] = "depthwise/direct.h"
    ops = (DepthwiseConv2D,)

    def instructions(self, work: Work) -> float:
        return work.macs * (12.0 if "multiply" in work.features else 22.0) + work.output.elements * 30

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        op = work.op
        assert isinstance(op, DepthwiseConv2D)
        _, kernel_h, kernel_w = filters(work).shape
        shapes = work.types[0].shape, work.output.shape
        begins = first_bytes(*shapes, (kernel_h, kernel_w), op.stride, op.padding, op.dilation)
        distance = stored_singly(begins, np.arange(work.output.shape[-1]) // op.multiplier)
        return Overlap(-work.types[0].bytes if distance is None else distance)

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).transpose(1, 2, 0).ravel())
        return Call("ratti_depthwise_direct", {"sizes": sizes(work)}, (weights, channels(work).table))
