"""Explicit padding that TFLite's SAME and VALID cannot express becomes a PAD before the op (for the writer)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...errors import UnsupportedError
from ...ops.pad import Pad
from ...types import TensorType
from ..builder import unique
from ..ir import Graph, Node, Value
from ._rewrite import rewrite


def run(graph: Graph) -> Graph:
    """A graph in which every op's padding has a TFLite code."""
    values: list[Value] = []
    nodes: list[Node] = []
    names = {*graph.values, *(node.name for node in graph.nodes)}
    for node in graph.nodes:
        nodes += _change(graph, node, values, names)
    return rewrite(graph, nodes, values)


def _change(graph: Graph, node: Node, values: list[Value], names: set[str]) -> Sequence[Node]:
    options, _ = node.op.to_tflite(graph.operands(node), graph.output_types(node))
    if options.get("padding", 0) is not None:
        return [node]
    op: Any = node.op
    if not hasattr(op, "dilation"):
        raise UnsupportedError(
            f"{op.name} '{node.name}': TFLite cannot express its padding {op.padding}; pools know SAME and VALID only"
        )
    top, bottom, left, right = op.padding
    pad = Pad(((0, 0), (top, bottom), (left, right), (0, 0)))
    source = graph.type(node.inputs[0])
    (shape,) = pad.infer_shapes(source.shape)
    name, pad_name = unique(f"{node.inputs[0]}_padded", names), unique(f"{node.name}_pad", names)
    names.update((name, pad_name))
    values.append(Value(name, TensorType(shape, source.dtype, source.quant)))
    return [
        Node(pad_name, pad, (node.inputs[0],), (name,)),
        replace(node, op=replace(op, padding=(0, 0, 0, 0)), inputs=(name, *node.inputs[1:])),
    ]
