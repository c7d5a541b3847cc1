"""Rewrites of a graph: one module each, with `run(graph) -> graph`. The order is a decision, so it is a list.

Every pass is lossless: the int8 outputs stay the same to the last bit, the float ones to rounding. The graph is
verified when it is made, so after each pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir import Graph

# Order: constants first, since a computed constant may be what makes a later pattern fit. Then what hides ops from each
# other: ops without effect, transposes (down first, what is left of shuffles up), scales, activations (behind the
# scales), and PAD (its axes are right once the transposes are gone). Channels last of those that look for patterns:
# they need to see convolutions with their activations. Equal constants and nodes when nothing makes new ones; at the
# end what only kernels ask for.
PIPELINE = (
    "fold_constants",
    "drop_identities",
    "fold_movement",
    "hoist_shuffles",
    "fold_scales",
    "fuse_activations",
    "fold_padding",
    "fold_channels",
    "share_equals",
    "separate_outputs",
)


@dataclass(frozen=True)
class Saving:
    """What one pass took out of a graph; a pass may add constants or multiplications, then the figure is below 0."""

    name: str
    ops: int
    constant_bytes: int
    macs: int


def run_pipeline(graph: Graph) -> Graph:
    """The graph as the planner wants it."""
    return optimize(graph)[0]


def optimize(graph: Graph) -> tuple[Graph, tuple[Saving, ...]]:
    """The graph as the planner wants it, and what each pass saved, in order."""
    from ...registry import load

    savings = []
    for name in PIPELINE:
        with np.errstate(all="ignore"):  # a float model may hold any numbers
            after = load(__name__, name).run(graph)
        removed = (len(graph.nodes) - len(after.nodes), _bytes(graph) - _bytes(after), graph.macs() - after.macs())
        savings.append(Saving(name, *removed))
        graph = after
    return graph, tuple(savings)


def _bytes(graph: Graph) -> int:
    """Bytes of all constants that nodes read."""
    used = {i for n in graph.nodes for i in n.inputs if graph.values[i].is_constant}
    return sum(graph.type(i).bytes for i in used)
