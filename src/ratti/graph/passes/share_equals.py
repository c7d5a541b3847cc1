"""Constants that hold the same become one, and so do nodes that compute the same from the same values."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph, Node, Value
from ._rewrite import forward, rewrite


def run(graph: Graph) -> Graph:
    """The graph with every constant and every computation held once."""
    first: dict[object, str] = {}
    names = {n: first.setdefault(_content(v), n) for n, v in graph.values.items() if v.is_constant}
    shared = rewrite(graph, [replace(n, inputs=tuple(names.get(i, i) for i in n.inputs)) for n in graph.nodes])
    known: dict[object, Node] = {}
    equal: dict[str, str] = {}
    for node in shared.nodes:
        inputs = tuple(equal.get(i, i) for i in node.inputs)
        twin = known.setdefault((node.op, inputs, shared.output_types(node)), node)
        if twin is not node and len(node.outputs) == 1:
            equal[node.outputs[0]] = twin.outputs[0]
    return forward(shared, equal)


def _content(value: Value) -> object:
    assert value.data is not None
    return value.type, value.data.tobytes()
