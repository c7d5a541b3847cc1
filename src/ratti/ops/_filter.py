"""What ordinary and depthwise convolutions share: their padding rule and their TFLite attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..types import TensorType
from ._accumulate import activation_of
from ._window import Padding, Pair, map_size, padding_code, resolve_padding
from .base import Activation, Operand, constraint


class Filter(Protocol):
    """Attributes of an op that slides a filter over a map."""

    @property
    def stride(self) -> Pair: ...
    @property
    def padding(self) -> Padding: ...
    @property
    def dilation(self) -> Pair: ...
    @property
    def activation(self) -> Activation: ...


@constraint
def padding_expressible(op: Filter, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """padding must be smaller than the window"""
    kh, kw = operands[1].type.shape[1:3]
    reach = ((kh - 1) * op.dilation[0], (kw - 1) * op.dilation[1])
    return max(op.padding[:2]) <= reach[0] and max(op.padding[2:]) <= reach[1]


def attributes(options: Mapping[str, Any], operands: Sequence[Operand]) -> dict[str, Any]:
    """The attributes in a TFLite options table, padding made explicit."""
    size, kernel = map_size(operands[0].type.shape), map_size(operands[1].type.shape)
    stride = (options["stride_h"], options["stride_w"])
    dilation = (options["dilation_h_factor"], options["dilation_w_factor"])
    return {
        "stride": stride,
        "padding": resolve_padding(options["padding"], size, kernel, stride, dilation),
        "dilation": dilation,
        "activation": activation_of(options),
    }


def options_of(op: Filter, operands: Sequence[Operand]) -> dict[str, Any]:
    """The TFLite options table of an op; its padding is None where only a PAD before it can express it."""
    size, kernel = map_size(operands[0].type.shape), map_size(operands[1].type.shape)
    return {
        "padding": padding_code(op.padding, size, kernel, op.stride, op.dilation),
        "stride_h": op.stride[0],
        "stride_w": op.stride[1],
        "dilation_h_factor": op.dilation[0],
        "dilation_w_factor": op.dilation[1],
        "fused_activation_function": int(op.activation),
    }
