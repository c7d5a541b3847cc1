"""How each supported ATen op enters the graph: one function an op, found in `HANDLERS` by its target's name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from ...ops.add import Add
from ...ops.average_pool2d import AveragePool2D
from ...ops.base import Activation, Op
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.hard_swish import HardSwish
from ...ops.max_pool2d import MaxPool2D
from ...ops.mean import Mean
from ...ops.mul import Mul
from ...ops.relu import Relu
from ...ops.relu6 import Relu6
from ...ops.softmax import Softmax
from ...types import Array, Shape
from .importer import NHWC, ROWS, Constant, Importer, Pads, Tensor
from .moves import MOVES
from .program import CLAMPS, RELU, RELU6, activation_of, arguments, flat, name, pair, place, target

if TYPE_CHECKING:
    from torch.fx import Node


def conv(importer: Importer, node: Node) -> None:
    given = arguments(node, ("input", "weight", "bias", "stride", "padding", "dilation", "groups"))
    source = importer.map(node, 0, may_owe_pads=True)
    weight = importer.constant(given["weight"], node)
    stride, dilation = pair(given.get("stride", 1)), pair(given.get("dilation", 1))
    groups, channels = int(given.get("groups", 1)), importer.builder.shape(source.value)[3]
    outputs, per_group, *kernel = weight.data.shape
    pads = own = _conv_pads(given.get("padding", 0), tuple(kernel), dilation)
    if source.pads is not None:
        pads = (source.pads[0] + own[0], source.pads[1] + own[1], source.pads[2] + own[2], source.pads[3] + own[3])
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if max(pads[:2]) > reach[0] or max(pads[2:]) > reach[1]:  # more than the op can hold
            source, pads = importer.tensor(node, 0), own
    if groups == channels > 1 and per_group == 1:
        _linear(importer, node, source, weight, given.get("bias"), (1, 2, 3, 0), 3,  # (O, 1, KH, KW) to 1HWO
                lambda activation: DepthwiseConv2D(stride, pads, dilation, outputs // channels, activation))
    else:
        _linear(importer, node, source, weight, given.get("bias"), (0, 2, 3, 1), 0,  # OIHW to OHWI
                lambda activation: Conv2D(stride, pads, dilation, groups, activation))


def fully_connected(importer: Importer, node: Node) -> None:
    given = arguments(node, ("input", "weight", "bias"))
    source = importer.tensor(node, 0)
    weight = importer.constant(given["weight"], node)
    if source.order != ROWS:
        raise UnsupportedError(f"{place(node)}: a fully connected layer on {len(source.order)} dimensions; "
                               f"flatten its input to (N, C)")
    if source.columns is not None:  # the map is stored as NHWC, the columns are in NCHW order
        weight = dataclasses.replace(weight, data=weight.data[:, source.columns])
    _linear(importer, node, source, weight, given.get("bias"), (0, 1), 0, FullyConnected)


def _linear(importer: Importer, node: Node, source: Tensor, weight: Constant, bias_node: Node | None,
            axes: tuple[int, ...], channel_axis: int, op: Callable[[Activation], Op]) -> None:
    """A weighted sum with its bias, batch norm and activation; `axes` bring torch's weights into the graph's order."""
    bias = importer.constant(bias_node, node) if bias_node is not None else None
    end, norm, activation = importer.chain(node)
    if norm is not None:
        weight, bias = importer.folded(norm, weight, bias)
    label = name(node)
    inputs = [source.value,
              importer.weights(f"{label}_weight", weight.data.transpose(axes), weight.scales, channel_axis, node)]
    if bias is not None:
        inputs.append(importer.weights(f"{label}_bias", bias.data, bias.scales, 0, node))
    importer.emit(node, end, op(activation), inputs, source.order)


def _conv_pads(padding: Any, kernel: Shape, dilation: tuple[int, int]) -> Pads:
    if isinstance(padding, str):  # "same" or "valid"
        total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(dilation, kernel, strict=True)]
        return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2
    top, left = pair(padding)
    return top, top, left, left


def add(importer: Importer, node: Node) -> None:
    if any(not hasattr(a, "op") for a in node.args[:2]) or node.kwargs.get("alpha", 1) != 1:
        raise UnsupportedError(f"{place(node)}: only the sum of two tensors is supported")
    first, second = importer.tensor(node, 0), importer.tensor(node, 1)
    shapes = [importer.builder.shape(t.value) for t in (first, second)]
    if shapes[0] != shapes[1] or first.order != second.order or not _equal(first.columns, second.columns):
        raise UnsupportedError(f"{place(node)}: the sum of {shapes[0]} and {shapes[1]}; both must have one shape")
    end, _, activation = importer.chain(node)
    importer.emit(node, end, Add(activation), [first.value, second.value], first.order, first.columns)


def multiply(importer: Importer, node: Node) -> None:
    """A product of two maps; one of them may be (N, C, 1, 1)."""
    if any(not hasattr(a, "op") for a in node.args[:2]):
        raise UnsupportedError(f"{place(node)}: only the product of two tensors is supported")
    first, second = importer.tensor(node, 0), importer.tensor(node, 1)
    if first.order != second.order or not _equal(first.columns, second.columns):
        shapes = " and ".join(str(importer.builder.shape(t.value)) for t in (first, second))
        raise UnsupportedError(f"{place(node)}: the product of {shapes} in different orders of axes")
    end, _, activation = importer.chain(node)
    importer.emit(node, end, Mul(activation), [first.value, second.value], first.order, first.columns)


def hard_swish(importer: Importer, node: Node) -> None:
    source = importer.tensor(node, 0)
    importer.emit(node, node, HardSwish(), [source.value], source.order, source.columns)


def activation(importer: Importer, node: Node) -> None:
    """An activation that no op before it could take in."""
    source = importer.tensor(node, 0)
    op = {Activation.RELU: Relu, Activation.RELU6: Relu6}.get(activation_of(node))
    if op is None:
        raise UnsupportedError(f"{place(node)}: {target(node)} over {node.args[1:]}; only 0 to 6 is supported")
    importer.emit(node, node, op(), [source.value], source.order, source.columns)


def max_pool(importer: Importer, node: Node) -> None:
    given = arguments(node, ("input", "kernel", "stride", "padding", "dilation", "ceil_mode"))
    if pair(given.get("dilation", 1)) != (1, 1) or given.get("ceil_mode", False):
        raise UnsupportedError(f"{place(node)}: max pooling with dilation or ceil_mode is not supported")
    _pool(importer, node, MaxPool2D, given)


def average_pool(importer: Importer, node: Node) -> None:
    given = arguments(node, ("input", "kernel", "stride", "padding", "ceil_mode", "include_pad", "divisor"))
    padded = any(pair(given.get("padding", 0))) and given.get("include_pad", True)
    if given.get("ceil_mode", False) or given.get("divisor") is not None or padded:
        raise UnsupportedError(f"{place(node)}: average pooling with ceil_mode, divisor_override, or padding that "
                               f"counts is not supported")
    _pool(importer, node, AveragePool2D, given)


def _pool(importer: Importer, node: Node, pool: type[MaxPool2D] | type[AveragePool2D],
          given: Mapping[str, Any]) -> None:
    source = importer.map(node, 0)
    kernel = pair(given["kernel"])
    top, left = pair(given.get("padding", 0))
    op = pool(kernel, pair(given.get("stride") or kernel), (top, top, left, left))
    importer.emit(node, node, op, [source.value], NHWC)


def mean(importer: Importer, node: Node) -> None:
    given = arguments(node, ("input", "dims", "keep"))
    source = importer.map(node, 0)
    dims, keep = flat(given.get("dims", [])), bool(given.get("keep", given.get("keepdim", False)))
    if {d % 4 for d in dims} != {2, 3}:
        raise UnsupportedError(f"{place(node)}: a mean over the dimensions {dims}; only height and width (2, 3)")
    importer.emit(node, node, Mean((1, 2), keep), [source.value], NHWC if keep else ROWS)


def adaptive_pool(importer: Importer, node: Node) -> None:
    source = importer.map(node, 0)
    if pair(node.args[1]) != (1, 1):
        raise UnsupportedError(f"{place(node)}: adaptive pooling to {node.args[1]}; only to 1x1 is supported")
    importer.emit(node, node, Mean((1, 2), True), [source.value], NHWC)


def pad(importer: Importer, node: Node) -> None:
    constant = target(node) == "aten.constant_pad_nd.default"
    given = arguments(node, ("input", "pads", "value") if constant else ("input", "pads", "mode", "value"))
    if given.get("mode", "constant") != "constant" or given.get("value", 0) != 0:
        raise UnsupportedError(f"{place(node)}: only padding with zeros is supported")
    pads = list(given["pads"])
    if len(pads) > 4 or min(pads) < 0:
        raise UnsupportedError(f"{place(node)}: padding {pads}; only height and width can be padded, by 0 or more")
    left, right, top, bottom = [*pads, 0, 0][:4]
    importer.rename(node, dataclasses.replace(importer.map(node, 0), pads=(top, bottom, left, right)))


def softmax(importer: Importer, node: Node) -> None:
    source, dim = importer.tensor(node, 0), node.args[1]
    if dim not in (-1, 1) or source.order != ROWS or source.columns is not None:
        raise UnsupportedError(f"{place(node)}: softmax over dimension {dim}; only over the last of (N, C)")
    importer.emit(node, node, Softmax(), [source.value], source.order)


def _equal(a: Array | None, b: Array | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


HANDLERS: dict[str, Callable[[Importer, Node], None]] = {
    "aten.conv2d.default": conv,
    "aten.conv2d.padding": conv,
    "aten.linear.default": fully_connected,
    "aten.add.Tensor": add,
    "aten.add_.Tensor": add,
    "aten.max_pool2d.default": max_pool,
    "aten.avg_pool2d.default": average_pool,
    "aten.adaptive_avg_pool2d.default": adaptive_pool,
    "aten.mean.dim": mean,
    "aten.pad.default": pad,
    "aten.constant_pad_nd.default": pad,
    "aten.softmax.int": softmax,
    "aten.mul.Tensor": multiply,
    "aten.hardswish.default": hard_swish,
    "aten.hardswish_.default": hard_swish,
    **MOVES,
    **dict.fromkeys((*RELU, *CLAMPS, *RELU6), activation),
}
