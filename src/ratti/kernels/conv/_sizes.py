"""Sizes of convolutions as the headers take them; fully connected layers are 1x1 convolutions over one column."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...ops._accumulate import LinearOp
from ...ops.conv2d import Conv2D
from ...ops.fully_connected import FullyConnected
from ...types import Array, DType
from .._channels import Channels, Rounding, channel_table, output_struct
from .._overlap import first_bytes, groups_of, staged
from ..base import Constant, Overlap, Reach, Struct, Work

LINEAR = (Conv2D, FullyConnected)


def filters(work: Work) -> Array:
    """Weights as (O, KH, KW, I)."""
    data = work.operands[1].data
    assert data is not None
    return data if data.ndim == 4 else data[:, None, None, :]


def depth(work: Work) -> int:
    """Elements of one window of one group."""
    return int(filters(work)[0].size)


def pixels(work: Work) -> int:
    return work.output.elements // work.output.shape[-1]


def is_pointwise(work: Work) -> bool:
    """True where output pixel p reads exactly the channels of input pixel p."""
    if isinstance(work.op, FullyConnected):
        return True
    assert isinstance(work.op, Conv2D)
    return filters(work).shape[1:3] == (1, 1) and work.op.stride == (1, 1) and not any(work.op.padding)


def begins(work: Work) -> Array:
    """The first input byte of each pixel's window."""
    op = work.op
    if not isinstance(op, Conv2D):
        return np.arange(pixels(work), dtype=np.int64) * work.types[0].shape[-1]
    _, kernel_h, kernel_w, _ = filters(work).shape
    shapes = work.types[0].shape, work.output.shape
    return first_bytes(*shapes, (kernel_h, kernel_w), op.stride, op.padding, op.dilation)


def reach(work: Work) -> Reach | None:
    op = work.op
    if not isinstance(op, Conv2D):
        return None
    return Reach(op.stride[0], op.padding[0], (filters(work).shape[1] - 1) * op.dilation[0] + 1)


def staged_overlap(work: Work, group: int) -> Overlap:
    """For kernels that copy the windows of `group` pixels to scratch before they store the first result."""
    distance = staged(begins(work), groups_of(pixels(work), group), work.output.shape[-1])
    return Overlap(-work.types[0].bytes if distance is None else distance)


def tiled_overlap(work: Work, tile_o: int, tile_p: int, in_place: bool) -> Overlap:
    """For kernels that compute `tile_o` channels of `tile_p` pixels at a time, and read inputs `in_place` or staged."""
    found = staged_overlap(work, tile_p)
    in_c, out_c = work.types[0].shape[-1], work.output.shape[-1]
    stored = out_c - (1 if out_c % tile_o else tile_o)  # channels of a pixel, before its inputs are read last
    if not in_place or not stored:
        return found
    # Read where they lie, the inputs of a tile are needed until its last channels.
    ends = groups_of(pixels(work), tile_p)
    begins = np.concatenate([[0], ends[:-1]])
    return Overlap(max(found.distance, int(((ends - 1) * out_c + stored - begins * in_c).max())))


def single_pixels(work: Work, rows: int) -> int:
    """Pixels that calls of `rows` rows leave over, each, for kernels that compute pixels in pairs."""
    return -(-work.rows // rows) * (rows * (pixels(work) // work.rows) % 2)


def groups(work: Work) -> int:
    return work.op.groups if isinstance(work.op, Conv2D) else 1


def owners(work: Work) -> Array:
    """The group of each output channel."""
    outputs = work.output.shape[-1]
    return work.op.owners(outputs) if isinstance(work.op, Conv2D) else np.zeros(outputs, np.int64)


def by_group(work: Work) -> Array:
    """Output channels, those of the first group first."""
    order: Array = np.argsort(owners(work), kind="stable")
    return order


@lru_cache(maxsize=512)
def channels(work: Work) -> Channels:
    """The channel records and output constants; computed once for all kernels that look at `work`."""
    op, w = work.op, filters(work)
    assert isinstance(op, LINEAR)
    return channel_table(work.operands, work.output, w.reshape(len(w), -1), op.activation)


def output(work: Work) -> Struct:
    """The `ratti_output` struct; int16 outputs have one rounding, or that of short sums."""
    if work.output.dtype is DType.INT8:
        return channels(work).output
    assert isinstance(work.op, LinearOp)
    rounding = Rounding.GENERAL if short_sums(work) else Rounding.SINGLE
    return output_struct(work.output, work.op.activation, rounding)


def short_sums(work: Work) -> bool:
    """Whether int16 activations are summed in int32."""
    assert isinstance(work.op, LinearOp)
    return work.op.sums_are_short(work.types, work.output)


def sizes(work: Work) -> Struct:
    """The `ratti_conv` struct."""
    op, w = work.op, filters(work)
    fields: dict[str, Constant]
    if isinstance(op, Conv2D):
        (_, in_h, in_w, in_c), (_, out_h, out_w, out_c) = work.types[0].shape, work.output.shape
        fields = {"in_h": in_h, "in_w": in_w, "in_c": in_c, "out_h": out_h, "out_w": out_w, "out_c": out_c}
        fields |= {"kernel_h": w.shape[1], "kernel_w": w.shape[2]}
        fields |= {"stride_h": op.stride[0], "stride_w": op.stride[1]}
        fields |= {"dilation_h": op.dilation[0], "dilation_w": op.dilation[1]}
        fields |= {"pad_top": op.padding[0], "pad_left": op.padding[2]}
        fields |= {"groups": op.groups, "interleaved": int(op.interleaved)}
    else:
        out_c, in_c, rows = w.shape[0], w.shape[3], work.rows
        columns = pixels(work) // rows
        fields = {"in_h": rows, "in_w": columns, "in_c": in_c, "out_h": rows, "out_w": columns, "out_c": out_c}
        fields |= {"kernel_h": 1, "kernel_w": 1, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}
        fields |= {"pad_top": 0, "pad_left": 0, "groups": 1, "interleaved": 0}
    fields["in_zero"] = work.types[0].zero_point
    fields["out"] = output(work)
    return "ratti_conv", fields
