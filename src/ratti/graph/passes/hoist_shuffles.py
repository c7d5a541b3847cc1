"""A channel shuffle that no reader could take becomes the order in which the convolution before it writes.

Any order can be had from a convolution of one group; from one of several groups those orders that keep each group
together, and those that take channels from all groups in turn, which is what a shuffle between grouped convolutions is.

Between a shuffle and that convolution may stand ops that treat each channel alike: depthwise convolutions (their
filters change places too), pools, ops of one tensor. Lossless: outputs of a convolution are independent of each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ...ops._pool import Pool2D
from ...ops._resize import Resize
from ...ops._unary import Unary
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.reshape import Reshape
from ...ops.transpose import Transpose
from ...types import Array
from ..ir import Graph, Node, Value
from ._movement import Movement
from ._rewrite import consumers, forward, producers, reordered, rewrite

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
        changed.update({w.name: _rewritten(graph, w, order, values, names) for w in writers})
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
        if isinstance(op, Conv2D):
            return chain if _grouping(op, order) is not None else None
        if isinstance(op, FullyConnected):
            return chain
        keeps = isinstance(op, (Unary, Pool2D, Resize)) or (isinstance(op, DepthwiseConv2D) and op.multiplier == 1)
        if not keeps or graph.type(node.inputs[0]).shape[-1] != len(order):
            return None
        name = node.inputs[0]
    return None


def _grouping(op: Conv2D, order: Array) -> Conv2D | None:
    """The convolution whose output channels are those of `op` in `order`; None where there is no such."""
    owners = op.owners(len(order))[order]
    choices = (replace(op, interleaved=False), replace(op, interleaved=op.groups > 1))
    return next((c for c in choices if (c.owners(len(order)) == owners).all()), None)


def _rewritten(graph: Graph, node: Node, order: Array, values: list[Value], names: set[str]) -> Node:
    """`node` with its output channels in `order`."""
    op = _grouping(node.op, order) if isinstance(node.op, Conv2D) else node.op
    assert op is not None
    return replace(reordered(graph, node, order, values, names), op=op)


def _without_unread(graph: Graph) -> Graph:
    """Without moves that nothing reads."""
    read = {*graph.outputs}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if not isinstance(node.op, (Reshape, Transpose)) or node.outputs[0] in read:
            kept.append(node)
            read.update(node.inputs)
    return rewrite(graph, reversed(kept))
