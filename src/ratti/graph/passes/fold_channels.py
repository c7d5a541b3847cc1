"""Channels that make no difference disappear, with the work that computed and read them.

A channel is dropped where every reader multiplies it by zero, or where it holds one code for every input (all-zero
weights, never off the ReLU floor: interval arithmetic tells) and its share of the reader's sum, the same everywhere,
moves into the reader's bias. Borders stay exact: under zero padding the share is the same everywhere only where the
code is the zero point, so other constants stay there. Lossless to the last bit: every sum stays what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...fixed_point import INT32_MAX
from ...ops._accumulate import LinearOp
from ...ops._binary import Binary
from ...ops._pool import Pool2D
from ...ops._reduce import Reduce
from ...ops._resize import Resize
from ...ops._unary import Unary
from ...ops.concat import Concat
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.pad import Pad
from ...ops.reshape import Reshape
from ...types import Array, DType, Quant, TensorType
from ..builder import unique
from ..ir import Graph, Node, Value
from ._intervals import Interval, aligned, intervals
from ._rewrite import rewrite


def run(graph: Graph) -> Graph:
    """The graph without channels that make no difference.

    Graphs with random weights or assumed ranges stay as they are: they stand for others of their shape.
    """
    stands_in = graph.metadata.get("weights") == "random" or graph.metadata.get("quantization") == "assumed"
    codes = {v.type.dtype for v in graph.values.values() if not v.is_constant}
    if stands_in or codes != {DType.INT8}:
        return graph
    known = intervals(graph)
    needed = _needed(graph, known)
    if all(mask.all() for mask in needed.values()):
        return graph
    return _Cutter(graph, known, needed).run()


def _mixes(node: Node, graph: Graph) -> bool:
    """The op sums over all channels of its input, and makes new ones: both sides may lose channels on their own."""
    op = node.op
    if isinstance(op, FullyConnected):  # a row of whole pixels
        return graph.type(node.inputs[1]).shape[1] % graph.type(node.inputs[0]).shape[-1] == 0
    return isinstance(op, Conv2D) and op.groups == 1


def _keeps(node: Node, graph: Graph) -> bool:
    """Channel k of the output depends on channel k of every input alone: both sides must lose the same channels."""
    op, activations = node.op, graph.activations(node.inputs)
    shapes = [t.shape for t in (*graph.input_types(node), *graph.output_types(node))]
    if isinstance(op, DepthwiseConv2D):
        return op.multiplier == 1
    if isinstance(op, Reduce):
        return len(shapes[0]) - 1 not in op.axes
    if isinstance(op, Pad):
        return op.padding[-1] == (0, 0)
    if isinstance(op, Reshape):
        return shapes[0][-1:] == shapes[1][-1:]
    if isinstance(op, Binary):  # a constant may be one for all channels
        own = [t.shape[-1:] for n, t in zip(node.inputs, graph.input_types(node), strict=True) if n in activations]
        return all(shape == shapes[-1][-1:] for shape in own)
    return isinstance(op, (Unary, Pool2D, Resize))


def _needed(graph: Graph, known: Mapping[str, Interval]) -> dict[str, Array]:
    """Which channels of each activation make a difference: (C,) bool each, consistent along the graph."""
    needed = {
        n: np.zeros(v.type.shape[-1] if v.type.shape else 1, bool) for n, v in graph.values.items() if not v.is_constant
    }
    for name in graph.activations((*graph.inputs, *graph.outputs)):
        needed[name][:] = True
    _settle(graph, known, needed)
    for node in graph.nodes:  # something must remain of every value
        for name in node.outputs:
            if not needed[name].any():
                needed[name][0] = True
    _settle(graph, known, needed)
    return needed


def _tied(node: Node, graph: Graph, needed: Mapping[str, Array]) -> list[list[Array]]:
    """Masks, or views of them, that must be alike for `node`."""
    masks = [needed[n] for n in (*graph.activations(node.inputs), *node.outputs)]
    if isinstance(node.op, Concat) and node.op.axis == len(graph.type(node.outputs[0]).shape) - 1:
        sizes = [graph.type(n).shape[-1] for n in node.inputs]
        parts = np.split(needed[node.outputs[0]], np.cumsum(sizes)[:-1])  # views
        return [[needed.get(n, np.ones(1, bool)), part] for n, part in zip(node.inputs, parts, strict=True)]
    return [masks] if _keeps(node, graph) else [[mask, np.ones_like(mask)] for mask in masks]


def _settle(graph: Graph, known: Mapping[str, Interval], needed: dict[str, Array]) -> None:
    """Lets `needed` grow until every node agrees."""
    grown = True
    while grown:
        before = sum(int(mask.sum()) for mask in needed.values())
        for node in reversed(graph.nodes):
            activations = graph.activations(node.inputs)
            if _mixes(node, graph) and activations:
                needed[activations[0]][_demand(graph, node, known[activations[0]], needed[node.outputs[0]])] = True
                continue
            for masks in _tied(node, graph, needed):
                for mask in masks:
                    mask[:] = np.logical_or.reduce(masks)
        grown = sum(int(mask.sum()) for mask in needed.values()) > before


def _demand(graph: Graph, node: Node, x: Interval, outputs: Array) -> Array:
    """Channels of its input without which a convolution or fully connected layer cannot compute `outputs`."""
    w = _by_channel(graph, node, len(x.low))[outputs]  # (O, taps, C)
    read: Array = np.asarray(w.any(axis=(0, 1)))
    codes = x.low - graph.type(node.inputs[0]).zero_point
    share = w.sum(axis=1) * codes  # (O, C): what a constant channel adds
    foldable = x.constant & (codes == 0) if any(getattr(node.op, "padding", ())) else x.constant
    bias = _bias(graph, node, outputs)
    if len(bias) and (np.abs(bias) + np.abs(share[:, foldable]).sum(axis=1)).max() > INT32_MAX:
        return read
    return read & ~foldable


def _by_channel(graph: Graph, node: Node, channels: int) -> Array:
    """The weights as (O, taps, C) int64."""
    w = graph.values[node.inputs[1]].data
    assert w is not None
    return w.astype(np.int64).reshape(len(w), -1, channels)


def _bias(graph: Graph, node: Node, outputs: Array) -> Array:
    data = graph.values[node.inputs[2]].data if len(node.inputs) > 2 else np.zeros(len(outputs), np.int32)
    assert data is not None
    return data[outputs].astype(np.int64)


class _Cutter:
    """Writes the graph anew with the needed channels."""

    def __init__(self, graph: Graph, known: Mapping[str, Interval], needed: Mapping[str, Array]) -> None:
        self._graph, self._known, self._needed = graph, known, needed
        self._values: list[Value] = []
        self._names = set(graph.values)

    def run(self) -> Graph:
        for name, mask in self._needed.items():
            type = self._graph.type(name)
            if not mask.all():
                self._values.append(Value(name, replace(type, shape=(*type.shape[:-1], int(mask.sum())))))
        return rewrite(self._graph, [self._node(node) for node in self._graph.nodes], self._values)

    def _node(self, node: Node) -> Node:
        graph, op = self._graph, node.op
        masks = [self._needed.get(name, np.ones(1, bool)) for name in (*node.inputs, *node.outputs)]
        if all(mask.all() for mask in masks):
            return node
        out = self._needed[node.outputs[0]]
        if _mixes(node, graph):
            return self._mixing(node, out)
        if isinstance(op, Reshape):
            op = replace(op, shape=(*op.shape[:-1], int(out.sum())))
        if isinstance(op, Concat):
            return node  # its constants are needed whole
        # Filters, biases and operands of one value a channel have the channels last.
        inputs = [self._cut(n, out) if graph.type(n).shape[-1:] == out.shape else n for n in node.inputs]
        return replace(node, op=op, inputs=tuple(inputs))

    def _mixing(self, node: Node, out: Array) -> Node:
        graph = self._graph
        x, weight = node.inputs[:2]
        kept = self._needed[x]
        w, data = graph.values[weight], graph.values[weight].data
        assert data is not None
        op = node.op
        assert isinstance(op, LinearOp)
        channels = aligned(op, data, kept) if isinstance(op, FullyConnected) else kept
        smaller = np.compress(channels, np.compress(out, data, axis=0), axis=-1)
        weight = self._constant(weight, TensorType(smaller.shape, w.type.dtype, _quant(w.type, 0, out)), smaller)
        # Dropped channels that are read hold one code: their share is part of the bias from now on.
        by_channel = _by_channel(graph, node, len(kept))[out]
        codes = self._known[x].low - graph.type(x).zero_point
        share = (by_channel.sum(axis=1) * codes)[:, ~kept].sum(axis=1)
        bias = node.inputs[2] if len(node.inputs) > 2 else ""
        if not bias and not share.any():
            return replace(node, inputs=(x, weight))
        assert w.type.quant is not None
        scale = np.asarray(w.type.quant.scale, np.float32) * np.float32(graph.type(x).scale)
        quant = graph.type(bias).quant if bias else Quant.per_channel(np.broadcast_to(scale, len(out)), 0)
        folded = (_bias(graph, node, out) + share).astype(np.int32)
        whole = TensorType((len(out),), DType.INT32, quant)
        type = TensorType(folded.shape, DType.INT32, _quant(whole, 0, out))
        bias = self._constant(bias or f"{node.name}_bias", type, folded)
        return replace(node, inputs=(x, weight, bias))

    def _cut(self, name: str, mask: Array) -> str:
        """A constant without the channels that its op no longer computes; activations are cut already."""
        value = self._graph.values[name]
        if value.data is None or mask.all():
            return name
        data = np.compress(mask, value.data, axis=-1)
        return self._constant(name, TensorType(data.shape, value.type.dtype, _quant(value.type, -1, mask)), data)

    def _constant(self, name: str, type: TensorType, data: Array) -> str:
        name = unique(name, self._names)
        self._names.add(name)
        self._values.append(Value(name, type, data))
        return name


def _quant(type: TensorType, axis: int, mask: Array) -> Quant | None:
    """The quantization of a tensor cut along `axis`."""
    quant = type.quant
    if quant is None or quant.axis is None or quant.axis != axis % len(type.shape):
        return quant
    scales, zeros = np.compress(mask, quant.scale), np.compress(mask, quant.zero_point)
    return Quant(tuple(map(float, scales)), tuple(map(int, zeros)), quant.axis)
