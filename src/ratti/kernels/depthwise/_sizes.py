"""Sizes of depthwise convolutions as the headers take them."""

from __future__ import annotations

from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...types import Array
from .._channels import channel_table, output_struct
from ..base import Struct, Table, Work


def filters(work: Work) -> Array:
    """Weights as (O, KH, KW)."""
    data = work.operands[1].data
    assert data is not None
    return data[0].transpose(2, 0, 1)


def constants(work: Work) -> tuple[Table, Struct]:
    """The channel records and the `ratti_depthwise` struct."""
    op, w = work.op, filters(work)
    assert isinstance(op, DepthwiseConv2D)
    table, general = channel_table(work.operands, work.output, w.reshape(len(w), -1))
    (_, in_h, in_w, in_c), (_, out_h, out_w, _) = work.types[0].shape, work.output.shape
    return table, (
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
            "out": output_struct(work.output, op.activation, general),
        },
    )
