"""Depthwise convolution with the vectors of Arm's application processors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...ops.depthwise_conv2d import DepthwiseConv2D
from .._channels import in_tiles
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import channels, filters, in_turns_overlap, reach, sizes

LANES, COLUMNS = 8, 4
MOST_TAPS = 25  # size of the array of pointers in neon.h


class DepthwiseNeon(Kernel):
    name: ClassVar[str] = "depthwise_neon"
    header: ClassVar[str] = "depthwise/neon.h"
    ops = (DepthwiseConv2D,)
    requires = frozenset({"neon"})

    def supports(self, work: Work) -> bool:
        assert isinstance(work.op, DepthwiseConv2D)
        taps = filters(work).shape[1] * filters(work).shape[2]
        # Two products are added as int16, where (-128)**2 twice would not fit.
        return work.op.multiplier == 1 and taps <= MOST_TAPS and bool(filters(work).min() > -128)

    def instructions(self, work: Work) -> float:
        pixels = work.output.elements // work.output.shape[-1]
        padded = -(-work.output.shape[-1] // LANES) * LANES / work.output.shape[-1]
        return (work.macs * 0.6 + work.output.elements * 3) * padded + pixels * 20

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return in_turns_overlap(work, COLUMNS)

    def call(self, work: Work) -> Call:
        planes = filters(work).reshape(work.output.shape[-1], -1)
        weights = in_tiles(planes, LANES).reshape(-1, LANES, planes.shape[1]).transpose(0, 2, 1)
        found = channels(work).table
        records = Table(found.role, found.ctype, in_tiles(found.data, LANES))
        tables = (Table("weights", "int8_t", np.ascontiguousarray(weights).ravel()), records)
        return Call("ratti_depthwise_neon", {"sizes": sizes(work)}, tables, work.output.shape[-1])
