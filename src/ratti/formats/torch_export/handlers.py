"""How each supported ATen op enters the graph: one function an op, found in `HANDLERS` by its target's name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import UnsupportedError
from ...ops.average_pool2d import AveragePool2D
from ...ops.base import Activation, Op
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.max_pool2d import MaxPool2D
from ...ops.mean import Mean
from ...ops.resize_nearest import ResizeNearest
from ...ops.softmax import Softmax
from ...types import Shape
from .elementwise import ELEMENTWISE
from .importer import NHWC, ROWS, Constant, Importer, Pads, Tensor
from .moves import MOVES
from .program import arguments, flat, name, pair, place, target

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


def max_pool(importer: Importer, node: Node) -> None:
    given = arguments(node, ("input", "kernel", "stride", "padding", "dilation", "ceil_mode"))
    if pair(given.get("dilation", 1)) != (1, 1) or given.get("ceil_mode", False):
        raise UnsupportedError(f"{place(node)}: max pooling with dilation or ceil_mode is not supported")
    _pool(importer, node, importer.map(node, 0), MaxPool2D, given)


def average_pool(importer: Importer, node: Node) -> None:
    given = arguments(node, ("input", "kernel", "stride", "padding", "ceil_mode", "include_pad", "divisor"))
    if given.get("ceil_mode", False) or given.get("divisor") is not None:
        raise UnsupportedError(f"{place(node)}: average pooling with ceil_mode or divisor_override is not supported")
    source = importer.map(node, 0)
    top, left = pair(given.get("padding", 0))
    if (top or left) and given.get("include_pad", True):  # zeros that count are there before the pooling
        source = importer.settled(dataclasses.replace(source, pads=(top, top, left, left)))
        given["padding"] = 0
    _pool(importer, node, source, AveragePool2D, given)


def _pool(importer: Importer, node: Node, source: Tensor, pool: type[MaxPool2D] | type[AveragePool2D],
          given: Mapping[str, Any]) -> None:
    kernel = pair(given["kernel"])
    top, left = pair(given.get("padding", 0))
    op = pool(kernel, pair(given.get("stride") or kernel), (top, top, left, left))
    importer.emit(node, node, op, [source.value], NHWC)


def mean(importer: Importer, node: Node) -> None:
    given = arguments(node, ("input", "dims", "keep"))
    source = importer.tensor(node, 0)
    rank = len(source.order)
    dims = {d % rank for d in flat(given.get("dims", []))}
    if not dims or 0 in dims or source.columns is not None or source.groups is not None:
        raise UnsupportedError(f"{place(node)}: a mean over the dimensions {sorted(dims)}; only over some of each "
                               f"sample")
    keep = bool(given.get("keep", given.get("keepdim", False)))
    left = [a for a in source.order if a not in dims]
    order = source.order if keep else tuple(sorted(left).index(a) for a in left)
    op = Mean(tuple(sorted(source.order.index(d) for d in dims)), keep)
    importer.emit(node, node, op, [source.value], order)


def adaptive_pool(importer: Importer, node: Node) -> None:
    source = importer.map(node, 0)
    if pair(node.args[1]) != (1, 1):
        raise UnsupportedError(f"{place(node)}: adaptive pooling to {node.args[1]}; only to 1x1 is supported")
    importer.emit(node, node, Mean((1, 2), True), [source.value], NHWC)


def nearest(importer: Importer, node: Node) -> None:
    """Torch takes row floor(i * in / out) of the input, as TFLite does without half pixels."""
    height, width = (int(d) for d in node.meta["val"].shape[2:])
    source = importer.map(node, 0)
    value = importer.same(ResizeNearest((height, width)), [source.value], node.name)
    importer.rename(node, dataclasses.replace(source, value=value))


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


HANDLERS: dict[str, Callable[[Importer, Node], None]] = {
    "aten.conv2d.default": conv,
    "aten.conv2d.padding": conv,
    "aten.linear.default": fully_connected,
    "aten.max_pool2d.default": max_pool,
    "aten.avg_pool2d.default": average_pool,
    "aten.adaptive_avg_pool2d.default": adaptive_pool,
    "aten.mean.dim": mean,
    "aten.pad.default": pad,
    "aten.constant_pad_nd.default": pad,
    "aten.softmax.int": softmax,
    "aten.upsample_nearest2d.vec": nearest,
    **ELEMENTWISE,
    **MOVES,
}
