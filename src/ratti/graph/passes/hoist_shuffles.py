"""A channel shuffle that no reader could take becomes the order in which the convolution before it writes.

Between a shuffle and that convolution may stand ops that treat each channel alike: depthwise convolutions (their
filters change places too), pools, ops of one tensor. Lossless: outputs of a convolution are independent of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...ops._accumulate import LinearOp
from ...ops._pool import Pool2D
from ...ops._resize import Resize
from ...ops._unary import Unary
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.reshape import Reshape
from ...ops.transpose import Transpose
from ...types import Array, Quant
from ..builder import unique
from ..ir import Graph, Node, Value
from ._movement import Movement
from ._rewrite import consumers, forward, producers, rewrite

Found = tuple[str, str, Array]  # value before the shuffle, value after it, source channel of each channel after it


def run(graph: Graph) -> Graph:
    """The graph with every shuffle in the weights before it that can be there."""
    before, readers = producers(graph), consumers(graph)
    values: list[Value] = []
    names = set(graph.values)
    changed: dict[str, Node] = {}
    equal: dict[str, str] = {}
    for node in graph.nodes:
        found = _shuffle(graph, node, before, readers) if isinstance(node.op, Transpose) else None
        writers = _writers(graph, found, before, readers) if found else None
        if not found or not writers:
            continue
        start, end, order = found
        changed.update({w.name: _reordered(graph, w, order, values, names) for w in writers})
        # The last op of the shuffle goes by name, the others because nothing reads them.
        last = before[end]
        changed[last.name] = replace(last, op=Reshape(graph.type(end).shape), inputs=(start,))
        equal[end] = start
    nodes = [changed.get(node.name, node) for node in graph.nodes]
    return _without_unread(forward(rewrite(graph, nodes, values), equal)) if equal else graph


def _shuffle(
    graph: Graph, node: Node, before: Mapping[str, Node], readers: Mapping[str, list[Node]]
) -> Found | None:
    """What `node`, with reshapes around it, does where that is a shuffle."""
    assert isinstance(node.op, Transpose)
    start, end = node.inputs[0], node.outputs[0]
    if start in before and isinstance(before[start].op, Reshape) and len(readers[start]) == 1:
        start = before[start].inputs[0]
    movement = Movement.identity(graph.type(start).shape).reshaped(graph.type(node.inputs[0]).shape)
    whole = movement.transposed(node.op.permutation)
    after = readers.get(end, [])
    if len(after) == 1 and isinstance(after[0].op, Reshape) and end not in graph.outputs:
        end = after[0].outputs[0]
    if whole is None:
        return None
    order = whole.reshaped(graph.type(end).shape).channels
    return None if order is None else (start, end, order)


def _writers(
    graph: Graph, found: Found, before: Mapping[str, Node], readers: Mapping[str, list[Node]]
) -> list[Node] | None:
    """The nodes from a convolution to a shuffle that can all write channels in another order."""
    name, _, order = found
    chain: list[Node] = []
    while name in before and name not in graph.outputs and len(readers[name]) == 1:
        node = before[name]
        chain.append(node)
        op = node.op
        if (isinstance(op, Conv2D) and op.groups == 1) or isinstance(op, FullyConnected):
            return chain
        keeps = isinstance(op, (Unary, Pool2D, Resize)) or (isinstance(op, DepthwiseConv2D) and op.multiplier == 1)
        if not keeps or graph.type(node.inputs[0]).shape[-1] != len(order):
            return None
        name = node.inputs[0]
    return None


def _without_unread(graph: Graph) -> Graph:
    """Without moves that nothing reads."""
    read = {*graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not isinstance(node.op, (Reshape, Transpose)) or node.outputs[0] in read:
            kept.append(node)
            read.update(node.inputs)
    return rewrite(graph, reversed(kept))


def _reordered(graph: Graph, node: Node, order: Array, values: list[Value], names: set[str]) -> Node:
    """`node` with its output channels in `order`."""
    if not isinstance(node.op, LinearOp):
        return node
    inputs = [node.inputs[0]]
    for k, name in enumerate(node.inputs[1:]):
        value = graph.values[name]
        assert value.data is not None
        axis = node.op.output_axis if k == 0 else 0
        quant = value.type.quant
        if quant is not None and quant.axis is not None:
            scales, zeros = (tuple(np.take(v, order).tolist()) for v in (quant.scale, quant.zero_point))
            quant = Quant(scales, zeros, quant.axis)
        new = unique(name, names)
        names.add(new)
        values.append(Value(new, replace(value.type, quant=quant), np.take(value.data, order, axis)))
        inputs.append(new)
    return replace(node, inputs=tuple(inputs))
