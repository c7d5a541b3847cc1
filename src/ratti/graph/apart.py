"""Every node of a graph on its own inputs: one run shows what each operator alone does."""

from __future__ import annotations

from collections.abc import Mapping

from ..types import Array
from .ir import Graph, Node, Value


def apart(graph: Graph) -> Graph:
    """The nodes of `graph`, each fed from inputs of its own; the outputs are those of all nodes."""
    values = {name: v for name, v in graph.values.items() if v.is_constant}
    inputs: list[str] = []
    nodes: list[Node] = []
    for node in graph.nodes:
        own = {name: f"{node.name}_from_{name}" for name in graph.activations(dict.fromkeys(node.inputs))}
        values.update({new: Value(new, graph.type(old)) for old, new in own.items()})
        values.update({name: graph.values[name] for name in node.outputs})
        inputs += own.values()
        nodes.append(Node(node.name, node.op, tuple(own.get(n, n) for n in node.inputs), node.outputs))
    outputs = tuple(o for node in nodes for o in node.outputs)
    return Graph(graph.name, tuple(inputs), outputs, tuple(nodes), values)


def inputs_apart(graph: Graph, values: Mapping[str, Array]) -> list[Array]:
    """The inputs of `apart(graph)` from the values of all activations of `graph`."""
    return [values[n] for node in graph.nodes for n in graph.activations(dict.fromkeys(node.inputs))]
