"""Which codes each channel of each int8 activation can take, for every input: interval arithmetic along the graph.

A channel is an index of the last dimension. Bounds are exact or too wide, never too narrow.
Source: Moore, "Interval Analysis", 1966: the image of an interval under a monotone function lies between its ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from ...fixed_point import INT32_MAX, requantize
from ...ops._accumulate import LinearOp, channel_multipliers
from ...ops._move import Move
from ...ops._pool import Pool2D
from ...ops._reduce import Reduce
from ...ops._resize import Resize
from ...ops._unary import Unary
from ...ops.add import Add
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.maximum import Maximum
from ...ops.minimum import Minimum
from ...ops.mul import Mul
from ...ops.pad import Pad
from ...ops.reshape import Reshape
from ...ops.sub import Sub
from ...ops.transpose_conv2d import TransposeConv2D
from ...types import Array, DType, TensorType
from ..ir import Graph, Node

MONOTONE = (Move, Pad, Pool2D, Reduce, Resize)  # in every input: both ends in, both ends out
CORNERS = (Add, Sub, Mul, Maximum, Minimum)  # largest and smallest where both inputs are at an end


@dataclass(frozen=True, eq=False)
class Interval:
    """Smallest and largest code of each channel: (C,) int64 each."""

    low: Array
    high: Array

    @property
    def constant(self) -> Array:
        """Channels that hold one code everywhere, whatever the input: (C,) bool."""
        fixed: Array = self.low == self.high
        return fixed

    def hull(self, channels: int) -> Interval:
        """One interval that covers all channels, for each of `channels`."""
        return Interval(np.full(channels, self.low.min()), np.full(channels, self.high.max()))


def intervals(graph: Graph) -> dict[str, Interval]:
    """The bounds of every value of an int8 graph; biases are left out."""
    known = {n: _of_data(v.data) for n, v in graph.values.items() if v.data is not None}
    for name in graph.inputs:
        known[name] = _unknown(graph.type(name))
    for node in graph.nodes:
        outputs = graph.output_types(node)
        results = [_node(graph, node, known)] if len(outputs) == 1 else [_unknown(t) for t in outputs]
        known.update(zip(node.outputs, results, strict=True))
    return known


def _node(graph: Graph, node: Node, known: dict[str, Interval]) -> Interval:
    out = graph.output_types(node)[0]
    x = known[node.inputs[0]]
    if isinstance(node.op, LinearOp) and out.dtype is DType.INT8 and not isinstance(node.op, TransposeConv2D):
        return _linear(graph, node, node.op, x, out)
    if isinstance(node.op, Unary):
        table = node.op.table(graph.type(node.inputs[0]), out).astype(np.int64)
        ends = [table[low + 128 : high + 129] for low, high in zip(x.low, x.high, strict=True)]
        return Interval(np.array([e.min() for e in ends]), np.array([e.max() for e in ends]))
    if isinstance(node.op, MONOTONE):
        return _ends(graph, node, known, [("low",) * len(node.inputs), ("high",) * len(node.inputs)])
    if isinstance(node.op, CORNERS):
        return _ends(graph, node, known, list(product(("low", "high"), repeat=2)))
    if isinstance(node.op, Reshape):
        return x if out.shape[-1:] == graph.type(node.inputs[0]).shape[-1:] else x.hull(_channels(out))
    return _unknown(out)


def _linear(graph: Graph, node: Node, op: LinearOp, x: Interval, out: TensorType) -> Interval:
    """Sums of products: each weight takes the end that suits its sign; where there is padding, maybe 0 instead."""
    input, weight = graph.input_types(node)[:2]
    w = graph.values[node.inputs[1]].data
    bias = graph.values[node.inputs[2]].data if len(node.inputs) > 2 else 0
    assert w is not None
    if isinstance(op, FullyConnected) and w.shape[1] % len(x.low):  # rows that cut through pixels
        x = x.hull(1)
    low, high = (aligned(op, w, end - input.zero_point) for end in (x.low, x.high))
    w = w.astype(np.int64)
    ends = np.sort(np.stack([w * low, w * high]), axis=0)
    always_whole = isinstance(op, (Conv2D, DepthwiseConv2D, FullyConnected)) and not any(getattr(op, "padding", ()))
    if not always_whole:
        ends = np.stack([np.minimum(ends[0], 0), np.maximum(ends[1], 0)])
    others = tuple(a + 1 for a in range(w.ndim) if a != op.output_axis)
    sums = ends.sum(axis=others) + bias  # (2, O)
    multiplier, shift = channel_multipliers(input, weight, out)
    if (np.abs(sums) << np.maximum(shift, 0)).max() > INT32_MAX:
        return _unknown(out)
    codes = np.clip(requantize(sums, multiplier, shift) + out.zero_point, *op.activation.code_range(out))
    return Interval(codes[0], codes[1])


def aligned(op: LinearOp, w: Array, channels: Array) -> Array:
    """One value for each input channel, along the axes of the weights that they multiply."""
    if isinstance(op, FullyConnected):  # a row of the weights runs over pixels, then channels
        return np.resize(channels, w.shape[1])
    if op.output_axis == 3:  # depthwise: an input channel has `multiplier` outputs
        return np.repeat(channels, w.shape[3] // len(channels))
    owners = op.owners(len(w)) if isinstance(op, Conv2D) else np.zeros(len(w), np.int64)
    per_output: Array = channels.reshape(-1, w.shape[3])[owners]
    return per_output[:, None, None, :]


def _ends(graph: Graph, node: Node, known: dict[str, Interval], ends: list[tuple[str, ...]]) -> Interval:
    """What the op makes of inputs that are all at one of their ends, for each choice in `ends`."""
    types, outputs = graph.input_types(node), graph.output_types(node)
    results = []
    for choice in ends:
        inputs = [getattr(known[n], end) for n, end in zip(node.inputs, choice, strict=True)]
        filled = [np.broadcast_to(x, t.shape).astype(t.dtype.numpy) for x, t in zip(inputs, types, strict=True)]
        results.append(node.op.evaluate(filled, types, outputs)[0].astype(np.int64))
    others = tuple(range(results[0].ndim))
    codes = np.stack(results)
    return Interval(codes.min(axis=others), codes.max(axis=others))


def _of_data(data: Array) -> Interval:
    codes = np.atleast_1d(data.astype(np.int64))
    others = tuple(range(codes.ndim - 1))
    return Interval(codes.min(axis=others), codes.max(axis=others))


def _unknown(type: TensorType) -> Interval:
    low, high = type.dtype.limits
    channels = _channels(type)
    return Interval(np.full(channels, low), np.full(channels, high))


def _channels(type: TensorType) -> int:
    return type.shape[-1] if type.shape else 1
