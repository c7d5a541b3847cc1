"""A node of several outputs becomes one node for each: kernels write one output.

Lossless. Each part is computed where it is needed first, and parts that nothing reads are not computed.
"""

from __future__ import annotations

from ..builder import unique
from ..ir import Graph, Node
from ._rewrite import consumers, rewrite


def run(graph: Graph) -> Graph:
    """The graph with one output for each node."""
    readers, taken = consumers(graph), {node.name for node in graph.nodes}

    def parts(node: Node) -> list[Node]:
        if len(node.outputs) == 1:
            return [node]
        new = []
        for k, (op, out) in enumerate(zip(node.op.separate(graph.input_types(node)), node.outputs, strict=True)):
            if out in readers or out in graph.outputs:
                name = unique(f"{node.name}_{k}", taken)
                taken.add(name)
                new.append(Node(name, op, node.inputs, (out,)))
        return new

    return rewrite(graph, [part for node in graph.nodes for part in parts(node)])
