"""PAD over height and width, before convolutions without padding, becomes their explicit padding.

Lossless: PAD writes the zero point, which is what explicit padding stands for. It saves the padded copy of the map.
"""

from __future__ import annotations

from dataclasses import replace

from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.pad import Pad
from ..ir import Graph, Node
from ._rewrite import consumers, rewrite


def run(graph: Graph) -> Graph:
    """The graph with every foldable PAD folded."""
    readers = consumers(graph)
    folded = {n.outputs[0]: n for n in graph.nodes if _foldable(graph, n, readers.get(n.outputs[0], []))}

    def change(node: Node) -> list[Node]:
        if node.outputs[0] in folded:
            return []
        pad = folded.get(node.inputs[0])
        if pad is None:
            return [node]
        assert isinstance(pad.op, Pad) and isinstance(node.op, (Conv2D, DepthwiseConv2D))
        (_, rows, columns, _) = pad.op.padding
        op = replace(node.op, padding=(*rows, *columns))
        return [replace(node, op=op, inputs=(pad.inputs[0], *node.inputs[1:]))]

    return rewrite(graph, [new for node in graph.nodes for new in change(node)])


def _foldable(graph: Graph, node: Node, readers: list[Node]) -> bool:
    if not isinstance(node.op, Pad) or node.outputs[0] in graph.outputs or not readers:
        return False
    padding = node.op.padding
    if len(padding) != 4 or padding[0] != (0, 0) or padding[3] != (0, 0):
        return False
    return all(_takes(graph, reader, (*padding[1], *padding[2])) for reader in readers)


def _takes(graph: Graph, reader: Node, padding: tuple[int, int, int, int]) -> bool:
    op = reader.op
    if not isinstance(op, (Conv2D, DepthwiseConv2D)) or op.padding != (0, 0, 0, 0):
        return False
    padded = replace(op, padding=padding)
    return padded.check(graph.operands(reader), graph.output_types(reader)) is None
