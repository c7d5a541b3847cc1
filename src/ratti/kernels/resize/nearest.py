"""Resize by the nearest element, for any factor."""

from __future__ import annotations

from typing import ClassVar

from ...ops.resize_nearest import ResizeNearest
from ...types import DType
from ..base import Call, Kernel, Table, Work


class ResizeNearestKernel(Kernel):
    name: ClassVar[str] = "resize_nearest"
    header: ClassVar[str] = "resize/nearest.h"
    ops = (ResizeNearest,)
    activations = (DType.INT8, DType.INT16)

    def instructions(self, work: Work) -> float:
        return work.output.elements * 2 + work.output.elements / work.output.shape[3] * 15

    def call(self, work: Work) -> Call:
        op = work.op
        assert isinstance(op, ResizeNearest)
        (_, h, w, c), (_, _, out_w, _) = work.types[0].shape, work.output.shape
        constants = {"in_w": w, "out_w": out_w, "pixel_bytes": c * work.output.dtype.bytes}
        rows, columns = op.positions(0, h), op.positions(1, w)
        return Call("ratti_resize_nearest", constants, (Table("ys", "int16_t", rows), Table("xs", "int16_t", columns)))
