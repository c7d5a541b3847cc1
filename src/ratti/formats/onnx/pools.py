"""Pools and means."""

from __future__ import annotations

import math

import numpy as np

from ...errors import UnsupportedError
from ...ops._reduce import Reduce
from ...ops._window import Padding, Pair
from ...ops.average_pool2d import AveragePool2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.max_pool2d import MaxPool2D
from ...ops.mean import Mean
from ...ops.reduce_max import ReduceMax
from ...ops.sum import Sum
from ...types import Quant
from .importer import Handler, Importer, label
from .linear import padding, windowed
from .program import Node


def max_pool(importer: Importer, node: Node) -> None:
    x, kernel, stride, pads, rank = _window(importer, node)
    importer.emit(node, MaxPool2D(kernel, stride, pads), [x], importer.unmap(rank), keep=True)


def average_pool(importer: Importer, node: Node) -> None:
    """A pool where it may keep its codes and padding does not count; else a depthwise convolution, which rescales."""
    x, kernel, stride, pads, rank = _window(importer, node)
    counts = any(pads) and bool(node.attributes.get("count_include_pad", 0))
    type = importer.builder.type(x)
    rescales = importer.is_quantized(x) and importer.behind(node) not in (None, type.quant)
    if not counts and not (rescales and not any(pads)):
        importer.emit(node, AveragePool2D(kernel, stride, pads), [x], importer.unmap(rank), keep=True)
        return
    shape = (1, *kernel, type.shape[3])
    if importer.is_quantized(x):
        data, quant = np.ones(shape, np.int8), Quant.per_tensor(1 / math.prod(kernel), 0)
        weight = importer.builder.constant(f"{label(node)}_share", data, quant)
    else:
        weight = importer.builder.constant(f"{label(node)}_share", np.full(shape, 1 / math.prod(kernel), np.float32))
    importer.emit(node, DepthwiseConv2D(stride, pads), [x, weight], importer.unmap(rank))


def _window(importer: Importer, node: Node) -> tuple[str, Pair, Pair, Padding, int]:
    rank = len(importer.shape(importer.activation(node, 0)))
    x = importer.map(node, 0)
    one_row = rank == 3
    kernel = windowed(importer, node, "kernel_shape", one_row)
    stride, dilation = (windowed(importer, node, n, one_row) for n in ("strides", "dilations"))
    if dilation != (1, 1) or node.attributes.get("storage_order", 0) or len(node.outputs) > 1:
        raise UnsupportedError(f"{node.place}: pooling with dilation, column order or indices is not supported")
    pads = padding(importer, node, x, kernel, stride, dilation, one_row)
    if node.attributes.get("ceil_mode", 0):
        size = importer.shape(x)[1:3]
        spans = [n + a + b - k for n, a, b, k in zip(size, pads[::2], pads[1::2], kernel, strict=True)]
        if any(span % s for span, s in zip(spans, stride, strict=True)):
            raise UnsupportedError(f"{node.place}: ceil_mode where the last window would stick out; pad the input")
    return x, kernel, stride, pads, rank


def global_average(importer: Importer, node: Node) -> None:
    x = importer.activation(node, 0)
    importer.emit(node, Mean(tuple(range(2, len(importer.shape(x)))), True), [x])


def global_max(importer: Importer, node: Node) -> None:
    rank = len(importer.shape(importer.activation(node, 0)))
    x = importer.map(node, 0)
    _, h, w, _ = importer.shape(x)
    importer.emit(node, MaxPool2D((h, w), (h, w)), [x], importer.unmap(rank), keep=True)


def reduce(importer: Importer, node: Node) -> None:
    x = importer.activation(node, 0)
    rank = len(importer.shape(x))
    axes = importer.ints(node, "axes", 1, ())
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        importer.alias(node)
        return
    chosen = tuple(sorted({a % rank for a in axes or range(rank) if -rank <= a < rank}))
    op = REDUCTIONS[node.op](chosen, bool(node.attributes.get("keepdims", 1)))
    importer.emit(node, op, [x], keep=isinstance(op, ReduceMax))


REDUCTIONS: dict[str, type[Reduce]] = {"ReduceMean": Mean, "ReduceSum": Sum, "ReduceMax": ReduceMax}
HANDLERS: dict[str, Handler] = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average,
    "GlobalMaxPool": global_max,
    **dict.fromkeys(REDUCTIONS, reduce),
}
