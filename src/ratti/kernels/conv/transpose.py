"""Transposed convolution from its definition."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...ops._accumulate import channel_multipliers
from ...ops.transpose_conv2d import TransposeConv2D
from .._channels import Rounding, output_struct
from ..base import Call, Constant, Kernel, Table, Work


class ConvTranspose(Kernel):
    name: ClassVar[str] = "conv_transpose"
    header: ClassVar[str] = "conv/transpose.h"
    ops = (TransposeConv2D,)

    def instructions(self, work: Work) -> float:
        return work.macs * (9.0 if "multiply" in work.features else 40.0) + work.output.elements * 60

    def call(self, work: Work) -> Call:
        op, weights = work.op, work.operands[1].data
        assert isinstance(op, TransposeConv2D) and weights is not None
        bias = work.operands[2].data if len(work.operands) > 2 else None
        multiplier, shift = channel_multipliers(work.types[0], work.types[1], work.output)
        columns = [np.zeros(len(weights), np.int64) if bias is None else bias, multiplier, -shift]
        records = np.stack([np.broadcast_to(c, len(weights)) for c in columns], axis=1)
        (_, in_h, in_w, in_c), (_, _, out_w, out_c) = work.types[0].shape, work.output.shape
        fields: dict[str, Constant] = {"in_h": in_h, "in_w": in_w, "in_c": in_c, "out_w": out_w, "out_c": out_c}
        fields |= {"kernel_h": weights.shape[1], "kernel_w": weights.shape[2]}
        fields |= {"stride_h": op.stride[0], "stride_w": op.stride[1], "top": op.padding[0], "left": op.padding[1]}
        fields |= {"in_zero": work.types[0].zero_point}
        fields["out"] = output_struct(work.output, op.activation, Rounding.GENERAL)
        tables = (Table("weights", "int8_t", weights.ravel()), Table("channels", "ratti_channel", records))
        return Call("ratti_conv_transpose", {"sizes": ("ratti_transpose_sizes", fields)}, tables)
