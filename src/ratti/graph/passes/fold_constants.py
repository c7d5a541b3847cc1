"""Nodes that read constants only are computed now."""

from __future__ import annotations

from ...types import Array
from ..ir import Graph, Node, Value
from ._rewrite import rewrite


def run(graph: Graph) -> Graph:
    """The graph without nodes whose result is known."""
    known: dict[str, Array] = {n: v.data for n, v in graph.values.items() if v.data is not None}
    kept: list[Node] = []
    folded: list[Value] = []
    for node in graph.nodes:
        if not all(name in known for name in node.inputs):
            kept.append(node)
            continue
        results = node.op.evaluate([known[n] for n in node.inputs], graph.input_types(node), graph.output_types(node))
        for name, data in zip(node.outputs, results, strict=True):
            known[name] = data
            folded.append(Value(name, graph.type(name), data))
    return rewrite(graph, kept, folded)
