"""The first layers on patches of their maps: which layers, and patches of which size.

Streams compute nothing twice, but keep rows of the whole width for every layer at once. A patch keeps one map of a few
pixels at a time, and computes its halo again. So patches are looked at only where no stream is small enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..graph.ir import Graph, Node
from ..graph.patches import Box, NothingReadError, boxes, has_patches, is_local

SIZES = (1, 2, 3, 4, 6, 8, 12, 16)  # pixels, along both sides of a patch
MOST_NODES = 1000  # of a graph with patches


@dataclass(frozen=True)
class Cut:
    """The first `layers` nodes in patches of `size` x `size` pixels of the last one; by estimate: bytes of the arena,
    and how often each multiply-accumulate of the whole model is done.
    """

    layers: int
    size: int
    bytes: int
    work: float


def cuts(graph: Graph) -> Iterator[Cut]:
    """All of them that could be small."""
    for layers in range(2, len(graph.nodes) + 1):
        nodes = graph.nodes[:layers]
        if not is_local(graph, nodes[-1]):
            return
        result = graph.type(nodes[-1].outputs[0])
        if not has_patches(graph, nodes):
            continue
        _, height, width, _ = result.shape
        for size in SIZES:
            if size < max(height, width) and -(-height // size) * -(-width // size) * layers <= MOST_NODES:
                found = _cut(graph, nodes, size)
                if found is not None:
                    yield found


def _cut(graph: Graph, nodes: tuple[Node, ...], size: int) -> Cut | None:
    _, height, width, _ = graph.type(nodes[-1].outputs[0]).shape
    top, left = (height - size) // 2, (width - size) // 2
    try:
        parts = boxes(graph, nodes, Box((top, top + size), (left, left + size)))
    except NothingReadError:
        return None
    bytes_ = {n: b.size[0] * b.size[1] * graph.type(n).shape[3] for n, b in parts.items()}
    inside = {n.outputs[0] for n in nodes}
    last = {name: k for k, n in enumerate(nodes) for name in n.inputs}
    outside = sum(graph.type(n).bytes for n in parts if n not in inside)
    whole = graph.type(nodes[-1].outputs[0]).bytes
    most = max(
        sum(b for n, b in bytes_.items() if (n not in inside or _made(nodes, n) <= k) and last.get(n, k) >= k)
        for k in range(len(nodes))
    )
    count = -(-height // size) * -(-width // size)
    done = 0.0
    for node in nodes:
        box, shape = parts[node.outputs[0]], graph.type(node.outputs[0]).shape
        done += graph.macs(node) * (count * box.size[0] * box.size[1] / (shape[1] * shape[2]) - 1)
    return Cut(len(nodes), size, outside + whole + most, 1 + done / max(graph.macs(), 1))


def _made(nodes: tuple[Node, ...], name: str) -> int:
    return next(k for k, n in enumerate(nodes) if n.outputs[0] == name)
