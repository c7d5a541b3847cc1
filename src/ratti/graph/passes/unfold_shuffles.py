"""Convolutions with interleaved groups become plain ones with a channel shuffle behind (for writers of files)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...ops.conv2d import Conv2D
from ...ops.reshape import Reshape
from ...ops.transpose import Transpose
from ..builder import unique
from ..ir import Graph, Node, Value
from ._rewrite import reordered, rewrite


def run(graph: Graph) -> Graph:
    """A graph in which every convolution's groups follow each other."""
    values: list[Value] = []
    nodes: list[Node] = []
    names = {*graph.values, *(node.name for node in graph.nodes)}
    for node in graph.nodes:
        interleaved = isinstance(node.op, Conv2D) and node.op.interleaved
        nodes += _unfolded(graph, node, values, names) if interleaved else [node]
    return rewrite(graph, nodes, values)


def _unfolded(graph: Graph, node: Node, values: list[Value], names: set[str]) -> list[Node]:
    assert isinstance(node.op, Conv2D)
    out = graph.type(node.outputs[0])
    *size, channels = out.shape
    groups = node.op.groups
    order = np.argsort(node.op.owners(channels), kind="stable")
    conv = reordered(graph, node, order, values, names)
    apart, after = (*size, groups, channels // groups), (*size, channels // groups, groups)
    cut, transpose, last = (unique(f"{node.name}_{step}", names) for step in ("cut", "transpose", "join"))
    made = [unique(f"{node.outputs[0]}_{step}", names) for step in ("plain", "cut", "transposed")]
    names.update((cut, transpose, last, *made))
    shapes = (out.shape, apart, after)
    values += [Value(name, replace(out, shape=shape)) for name, shape in zip(made, shapes, strict=True)]
    return [
        replace(conv, op=replace(node.op, interleaved=False), outputs=(made[0],)),
        Node(cut, Reshape(apart), (made[0],), (made[1],)),
        Node(transpose, Transpose((*range(len(size)), len(size) + 1, len(size))), (made[1],), (made[2],)),
        Node(last, Reshape(out.shape), (made[2],), node.outputs),
    ]
