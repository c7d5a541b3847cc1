"""Padding of maps."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...ops.pad import Pad
from ..base import Call, Kernel, Overlap, Reach, Work


class PadCopy(Kernel):
    name: ClassVar[str] = "pad"
    header: ClassVar[str] = "pad/copy.h"
    ops = (Pad,)

    def supports(self, work: Work) -> bool:
        assert isinstance(work.op, Pad)
        return len(work.output.shape) <= 4 and work.op.padding[0] == (0, 0)

    def instructions(self, work: Work) -> float:
        return work.output.elements * 2

    def reach(self, work: Work) -> Reach | None:
        assert isinstance(work.op, Pad)
        return Reach(1, work.op.padding[1][0]) if len(work.output.shape) == 4 else None

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        # A row is filled before its inputs are read.
        assert isinstance(work.op, Pad)
        maps = len(work.output.shape) == 4
        (top, _), in_rows = (work.op.padding[1], work.types[0].shape[1]) if maps else ((0, 0), 1)
        rows = np.arange(top, top + in_rows)
        row_bytes = work.types[0].elements // in_rows
        return Overlap(int(((rows + 1) * work.row_elements - (rows - top) * row_bytes).max()))

    def call(self, work: Work) -> Call:
        assert isinstance(work.op, Pad)
        # (1, C) and (1, W, C) are maps of one row or column.
        lead = 4 - len(work.output.shape)
        shape_in = (1, *[1] * lead, *work.types[0].shape[1:])
        shape_out = (1, *[1] * lead, *work.output.shape[1:])
        padding = [(0, 0)] * (lead + 1) + list(work.op.padding[1:])
        fields = {
            "in_h": shape_in[1],
            "in_w": shape_in[2],
            "in_c": shape_in[3],
            "out_h": shape_out[1],
            "out_w": shape_out[2],
            "out_c": shape_out[3],
            "top": padding[1][0],
            "left": padding[2][0],
            "front": padding[3][0],
            "fill": work.types[0].zero_point,
        }
        return Call("ratti_pad", {"sizes": ("ratti_pad_sizes", fields)})
