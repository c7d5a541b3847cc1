"""The order of layers: never worse than the given one, proven least where the graph is small."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from graphs import random_graph
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.graph.passes import run_pipeline
from ratti.kernels import FEATURES
from ratti.ops.add import Add
from ratti.ops.average_pool2d import AveragePool2D
from ratti.ops.base import int8
from ratti.ops.relu import Relu
from ratti.plan import make_plan
from ratti.plan.layers import Layers
from ratti.plan.order import Sets, reorder
from ratti.plan.planner import make_layers

PORTABLE = FEATURES["portable"]


def branches(count: int) -> Graph:
    """Branches that are wide inside and narrow at their ends, all begun before any is ended."""
    b = GraphBuilder("branches")
    x = b.input("x", int8((1, 8, 8, 4), 0.1, 0))
    wide = [b.quantized(Relu(), [x], 0.05 + k / 100, k) for k in range(count)]
    narrow = [b.quantized(AveragePool2D((8, 8)), [w], b.type(w).scale, b.type(w).zero_point) for w in wide]
    total = narrow[0]
    for other in narrow[1:]:
        total = b.quantized(Add(), [total, other], 0.2, 0)
    return b.build([total])


def test_a_bad_order_is_mended() -> None:
    plan = make_plan(branches(5), PORTABLE)
    map_bytes = 8 * 8 * 4
    # Two maps, and what the branch before left behind; all branches at once would take five maps.
    assert plan.arena_bytes == plan.lower_bound_bytes == 2 * map_bytes + 4
    names = [s.node.op.name for s in plan.steps]
    assert names.index("average_pool2d") < 2


def least(layers: Layers) -> int:
    """The least peak of all orders."""
    sets = Sets(layers)
    orders = permutations(range(len(layers.items)))
    valid = (o for o in orders if all(not sets.needs[k] & ~sum(1 << j for j in o[:i]) for i, k in enumerate(o)))
    return min(sets.peak(o) for o in valid)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9), st.integers(2, 7))
def test_small_graphs_reach_the_proven_least(seed: int, nodes: int) -> None:
    graph = run_pipeline(random_graph(seed, nodes))
    if all(n.op.name == "reshape" for n in graph.nodes):
        return
    layers = make_layers(graph, PORTABLE, {})
    assert Sets(layers).peak(range(len(layers.items))) == least(layers) == layers.lower_bound_bytes


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**9))
def test_orders_are_valid_and_no_worse(seed: int) -> None:
    graph = run_pipeline(random_graph(seed, 40))
    layers = make_layers(graph, PORTABLE, {})
    shuffled = Layers(graph, tuple(sorted(layers.items, key=lambda x: graph.nodes.index(x.node))))
    found, bound = reorder(shuffled)
    peak = Sets(found).peak(range(len(found.items)))
    assert bound <= peak <= Sets(shuffled).peak(range(len(shuffled.items)))
    done: set[str] = set(graph.inputs)
    for layer, reads in zip(found.items, found.reads, strict=True):
        assert {root for _, _, root in reads} <= done
        done.add(layer.output)
