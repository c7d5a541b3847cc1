"""Sizes of pools as the headers take them."""

from __future__ import annotations

from ...ops._pool import Pool2D
from ..base import Struct, Work


def constants(work: Work) -> Struct:
    op = work.op
    assert isinstance(op, Pool2D)
    (_, in_h, in_w, c), (_, out_h, out_w, _) = work.types[0].shape, work.output.shape
    low, high = op.activation.code_range(work.output)
    return "ratti_pool", {
        "in_h": in_h,
        "in_w": in_w,
        "channels": c,
        "out_h": out_h,
        "out_w": out_w,
        "kernel_h": op.kernel[0],
        "kernel_w": op.kernel[1],
        "stride_h": op.stride[0],
        "stride_w": op.stride[1],
        "pad_top": op.padding[0],
        "pad_left": op.padding[2],
        "low": low,
        "high": high,
    }


def taps(work: Work) -> int:
    """Elements that all windows read."""
    assert isinstance(work.op, Pool2D)
    return work.output.elements * work.op.kernel[0] * work.op.kernel[1]
