"""Rewrites of a graph: one module each, with `run(graph) -> graph`. The order is a decision, so it is a list.

Every pass is lossless: the int8 outputs stay the same to the last bit. The graph is verified when it is made, so
after each pass.
"""

from __future__ import annotations

from ..ir import Graph

# Order: constants first, since a computed constant may be what makes a later pattern fit; then padding, since a PAD
# between two ops hides them from each other; last what only kernels ask for.
PIPELINE = ("fold_constants", "fold_padding", "separate_outputs")


def run_pipeline(graph: Graph) -> Graph:
    """The graph as the planner wants it."""
    from ...registry import load

    for name in PIPELINE:
        graph = load(__name__, name).run(graph)
    return graph
