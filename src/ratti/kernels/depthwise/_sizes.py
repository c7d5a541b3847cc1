"""Sizes of depthwise convolutions as the headers take them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...ops._accumulate import LinearOp
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...types import Array, DType
from .._channels import Channels, Rounding, channel_table, output_struct
from .._overlap import first_bytes, in_turns, stored_singly
from ..base import Overlap, Reach, Struct, Work


def filters(work: Work) -> Array:
    """Weights as (O, KH, KW)."""
    data = work.operands[1].data
    assert data is not None
    planes: Array = data[0].transpose(2, 0, 1)
    return planes


@lru_cache(maxsize=512)
def channels(work: Work) -> Channels:
    """The channel records and output constants; computed once for all kernels that look at `work`."""
    op, w = work.op, filters(work)
    assert isinstance(op, DepthwiseConv2D)
    return channel_table(work.operands, work.output, w.reshape(len(w), -1), op.activation)


def reach(work: Work) -> Reach:
    op = work.op
    assert isinstance(op, DepthwiseConv2D)
    return Reach(op.stride[0], op.padding[0], (filters(work).shape[1] - 1) * op.dilation[0] + 1)


def plane_banding(work: Work, rows: int) -> float:
    """For kernels on planes: each call copies the rows that it shares with its neighbors, and starts each channel."""
    calls, shared = -(-work.rows // rows), reach(work).window - reach(work).stride
    _, _, in_w, in_c = work.types[0].shape
    return calls * in_c * (40 + max(shared, 0) * in_w * 4)


def plane_overlap(work: Work) -> Overlap:
    """For kernels that copy the plane of a channel to scratch before they store the channel's first result.

    Results of one channel meet only inputs of the same channel where the two maps lie a multiple of the channels apart,
    on either side; anywhere else they meet inputs of a channel whose turn is still to come.
    """
    return Overlap(-work.types[0].bytes, work.types[0].shape[-1])


def output(work: Work) -> Struct:
    """The `ratti_output` struct; int16 outputs use its limits alone."""
    if work.output.dtype is DType.INT8:
        return channels(work).output
    assert isinstance(work.op, LinearOp)
    return output_struct(work.output, work.op.activation, Rounding.GENERAL)


def singly_overlap(work: Work) -> Overlap:
    """For kernels that read and store pixel by pixel, in it channel by channel."""
    op = work.op
    assert isinstance(op, DepthwiseConv2D)
    distance = stored_singly(_begins(work), np.arange(work.output.shape[-1]) // op.multiplier)
    return Overlap(-work.types[0].bytes if distance is None else distance)


def in_turns_overlap(work: Work, columns: int) -> Overlap:
    """For kernels that compute up to `columns` pixels of a row at a time, some channels of all of them in turn."""
    pixels = work.output.elements // work.output.shape[-1]
    place = np.arange(pixels) % work.output.shape[-2]
    # Where turns begin is open: those behind any pixel may be stored before it is read.
    ends = np.arange(1, pixels + 1) + np.minimum(columns - 1, work.output.shape[-2] - 1 - place)
    distance = in_turns(_begins(work), ends, work.output.shape[-1])
    return Overlap(-work.types[0].bytes if distance is None else distance)


def _begins(work: Work) -> Array:
    """The first input byte of each pixel's window."""
    op = work.op
    assert isinstance(op, DepthwiseConv2D)
    shapes = work.types[0].shape, work.output.shape
    return first_bytes(*shapes, filters(work).shape[1:3], op.stride, op.padding, op.dilation)


def sizes(work: Work) -> Struct:
    """The `ratti_depthwise` struct."""
    op, w = work.op, filters(work)
    assert isinstance(op, DepthwiseConv2D)
    (_, in_h, in_w, in_c), (_, out_h, out_w, _) = work.types[0].shape, work.output.shape
    return (
        "ratti_depthwise",
        {
            "in_h": in_h,
            "in_w": in_w,
            "in_c": in_c,
            "out_h": out_h,
            "out_w": out_w,
            "multiplier": op.multiplier,
            "kernel_h": w.shape[1],
            "kernel_w": w.shape[2],
            "stride_h": op.stride[0],
            "stride_w": op.stride[1],
            "dilation_h": op.dilation[0],
            "dilation_w": op.dilation[1],
            "pad_top": op.padding[0],
            "pad_left": op.padding[2],
            "in_zero": work.types[0].zero_point,
            "out": output(work),
        },
    )
