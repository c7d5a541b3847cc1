"""Resize by linear interpolation."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...ops.resize_bilinear import ResizeBilinear
from ...types import DType
from ..base import Call, Kernel, Table, Work


class ResizeBilinearKernel(Kernel):
    name: ClassVar[str] = "resize_bilinear"
    header: ClassVar[str] = "resize/bilinear.h"
    ops = (ResizeBilinear,)

    def supports(self, work: Work) -> bool:
        return work.output.dtype is DType.INT8

    def instructions(self, work: Work) -> float:
        return work.output.elements * 30

    def call(self, work: Work) -> Call:
        op = work.op
        assert isinstance(op, ResizeBilinear)
        (_, h, w, c), (_, _, out_w, _) = work.types[0].shape, work.output.shape
        tables = [
            Table(role, "ratti_between", np.stack(op.positions(axis, size), axis=1))
            for axis, (role, size) in enumerate((("ys", h), ("xs", w)))
        ]
        return Call("ratti_resize_bilinear", {"in_w": w, "out_w": out_w, "channels": c}, tuple(tables))
