"""Replacing nodes and values while keeping the rest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from ...ops._accumulate import LinearOp
from ...types import Array, Quant
from ..builder import unique
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


def producers(graph: Graph) -> dict[str, Node]:
    """The node that writes each value."""
    return {name: node for node in graph.nodes for name in node.outputs}


def forward(graph: Graph, equal: Mapping[str, str]) -> Graph:
    """`graph` without the nodes of one output that write the keys of `equal`: readers take the values instead.

    A key and its value hold the same. The graph's outputs keep their names: where a key is one, what writes the value
    writes it under that name. A node stays where that cannot be: an output that is an input, or another output, too.
    """
    fixed = {*graph.inputs, *graph.outputs, *(n for n, v in graph.values.items() if v.is_constant)}
    names: dict[str, str] = {}  # what each value is called from now on
    kept: list[Node] = []
    for node in graph.nodes:
        (out, *others) = node.outputs
        source = equal.get(out) if not others else None
        if source is not None and out not in graph.outputs:
            names[out] = names.get(source, source)
            continue
        if source is not None:
            source = names.get(source, source)
            if source not in fixed:
                names.update({old: out for old, new in names.items() if new == source})
                names[source] = out
                fixed.add(out)
                continue
        kept.append(node)
    return rewrite(graph, [_renamed(node, names) for node in kept])


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    inputs = tuple(names.get(n, n) for n in node.inputs)
    return replace(node, inputs=inputs, outputs=tuple(names.get(n, n) for n in node.outputs))


def reordered(graph: Graph, node: Node, order: Array, values: list[Value], names: set[str]) -> Node:
    """`node` with its output channels in `order`, where they are those of weights."""
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
