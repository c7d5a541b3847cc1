"""Sizes of pools as the headers take them."""

from __future__ import annotations

import numpy as np

from ...ops._pool import Pool2D
from .._overlap import first_bytes, stored_singly
from ..base import Overlap, Reach, Struct, Work


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


def reach(work: Work) -> Reach:
    op = work.op
    assert isinstance(op, Pool2D)
    return Reach(op.stride[0], op.padding[0], op.kernel[0])


def overlap(work: Work) -> Overlap:
    """For pools that store each channel of a pixel before they read the next one."""
    op = work.op
    assert isinstance(op, Pool2D)
    begins = first_bytes(work.types[0].shape, work.output.shape, op.kernel, op.stride, op.padding)
    distance = stored_singly(begins, np.arange(work.output.shape[-1]))
    return Overlap(-work.types[0].bytes if distance is None else distance)


def taps(work: Work) -> int:
    """Elements that all windows read."""
    assert isinstance(work.op, Pool2D)
    return work.output.elements * work.op.kernel[0] * work.op.kernel[1]
