"""Replacing nodes while keeping the rest."""

from __future__ import annotations

from collections.abc import Iterable

from ..ir import Graph, Node, Value


def rewrite(graph: Graph, nodes: Iterable[Node], new_values: Iterable[Value] = ()) -> Graph:
    """A graph of `nodes`; values that nothing uses any more are dropped."""
    nodes = tuple(nodes)
    values = {**graph.values, **{v.name: v for v in new_values}}
    used = {*graph.inputs, *graph.outputs}
    for node in nodes:
        used.update(node.inputs)
        used.update(node.outputs)
    kept = {name: value for name, value in values.items() if name in used}
    return Graph(graph.name, graph.inputs, graph.outputs, nodes, kept, graph.metadata)


def consumers(graph: Graph) -> dict[str, list[Node]]:
    """Nodes that read each value."""
    out: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.inputs:
            out.setdefault(name, []).append(node)
    return out
