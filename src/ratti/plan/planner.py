"""Choice of kernels, and of what to compute as streams."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ..errors import UnsupportedError
from ..graph.ir import Graph, Node
from ..kernels import SPARE_FLASH, Kernel, Work, candidates
from ..ops.reshape import Reshape
from .layers import Layer, Layers
from .layout import Unit, instructions, lay_out, needed_bytes
from .order import reorder
from .plan import Plan
from .stream import make_bands

HEIGHTS = (1, 2, 3, 4, 6, 8)  # rows of a band
MOST_LAYERS = 24  # of a stream


def make_plan(
    graph: Graph,
    features: frozenset[str],
    arena_limit: int | None = None,
    kernels: Mapping[str, Kernel] | None = None,
    streaming: bool = True,
    lean: Collection[str] = (),
) -> Plan:
    """A plan for a core with `features`: the fastest kernels, layer by layer; where that takes more than `arena_limit`
    bytes, the fastest plan with streams that does not, and then slower kernels with less scratch.

    `kernels` fixes the choice for nodes by name; nodes in `lean` get no kernel that spends flash on speed. Without
    `streaming` the plan has no streams. A plan over `arena_limit` is still returned: it is the smallest that was found.
    UnsupportedError where the graph is not int8 or no kernel serves a node.
    """
    layers = make_layers(graph, features, kernels or {}, lean)
    plan = lay_out(layers, [Unit(k, k + 1) for k in range(len(layers.items))])
    if arena_limit is None or plan.arena_bytes <= arena_limit:
        return plan
    found = [plan]
    front = fronts(layers) if streaming else []
    small_enough = [units for bytes_, units in front if bytes_ <= arena_limit]
    for units in reversed(small_enough or [units for _, units in front[:1]]):
        found.append(lay_out(layers, units))
        if found[-1].arena_bytes <= arena_limit:
            return found[-1]
    while plan.arena_bytes > arena_limit:
        smaller = _smaller_scratch(plan, layers)
        if smaller is None:
            break
        layers = smaller
        plan = lay_out(layers, [Unit(k, k + 1) for k in range(len(layers.items))])
        found.append(plan)
    return min(found, key=lambda p: p.arena_bytes)


def make_plans(graph: Graph, features: frozenset[str], lean: Collection[str] = ()) -> list[Plan]:
    """What memory can be traded for: layer by layer first, then plans with streams, each smaller than those before it
    and the fastest of its size by estimate. Errors as `make_plan`.
    """
    layers = make_layers(graph, features, {}, lean)
    plans = [lay_out(layers, [Unit(k, k + 1) for k in range(len(layers.items))])]
    for _, units in reversed(fronts(layers)):
        plan = lay_out(layers, units)
        if plan.arena_bytes < plans[-1].arena_bytes:
            plans.append(plan)
    return plans


def make_layers(
    graph: Graph, features: frozenset[str], fixed: Mapping[str, Kernel], lean: Collection[str] = ()
) -> Layers:
    """The layers of a graph with the fastest kernels, in the order with the least peak; errors as `make_plan`."""
    if not graph.is_quantized:
        raise UnsupportedError(f"model '{graph.name}' is a float model; only int8 models become firmware")
    _refuse_unplannable(graph)
    items = []
    for node in graph.nodes:
        if not isinstance(node.op, Reshape):
            work = Work.of(graph, node, features - {SPARE_FLASH} if node.name in lean else features)
            options = (fixed[node.name],) if node.name in fixed else tuple(_kernels(node, work))
            items.append(Layer(node, work, options, options[0]))
    if not items:
        raise UnsupportedError(f"model '{graph.name}' computes nothing")
    layers, bound = reorder(Layers(graph, tuple(items)))
    return replace(layers, lower_bound_bytes=bound)


def fronts(layers: Layers) -> list[tuple[int, tuple[Unit, ...]]]:
    """(bytes, units): the fastest ways to cut the layers into streams and single layers for the bytes that they need,
    both by estimate; fewest bytes first.

    Cuts up to each layer are kept where no other is both smaller and faster.
    """
    ways: list[list[tuple[int, float, tuple[Unit, ...]]]] = [[(0, 0.0, ())]]
    units: dict[int, list[tuple[int, float, Unit]]] = {}
    for unit in _units(layers):
        units.setdefault(unit.end, []).append((needed_bytes(layers, unit), instructions(layers, unit), unit))
    for end in range(1, len(layers.items) + 1):
        reached = [
            (max(peak, need), cost + own, (*before, unit))
            for need, own, unit in units[end]
            for peak, cost, before in ways[unit.begin]
        ]
        ways.append(_best(reached))
    return [(peak, units) for peak, _, units in ways[-1]]


def _best(ways: list[tuple[int, float, tuple[Unit, ...]]]) -> list[tuple[int, float, tuple[Unit, ...]]]:
    kept: list[tuple[int, float, tuple[Unit, ...]]] = []
    for way in sorted(ways, key=lambda w: (w[0], w[1], len(w[2]))):
        if not kept or way[1] < kept[-1][1]:
            kept.append(way)
    return kept


def _units(layers: Layers) -> list[Unit]:
    """Single layers, and the streams that there are."""
    found = []
    for begin in range(len(layers.items)):
        found.append(Unit(begin, begin + 1))
        for end in range(begin + 1, min(begin + MOST_LAYERS, len(layers.items)) + 1):
            for height in HEIGHTS:
                bands = make_bands(layers, begin, end, height)
                if bands is not None:
                    found.append(Unit(begin, end, bands))
    return found


def _refuse_unplannable(graph: Graph) -> None:
    for name in graph.inputs:
        shape = graph.type(name).shape
        if len(shape) > 1 and shape[0] != 1:
            raise UnsupportedError(f"input '{name}' is a batch of {shape[0]}; firmware takes one sample at a time")
    for name in graph.outputs:
        if graph.values[name].is_constant:
            raise UnsupportedError(f"output '{name}' is a constant; leave it out of the model")
    for node in graph.nodes:
        for name in (*graph.activations(node.inputs), *node.outputs):
            type = graph.type(name)
            if len(type.shape) == 4 and type.shape[0] != 1:
                raise UnsupportedError(
                    f"{node.op.name} '{node.name}' works on a batch of {type.shape[0]} inside the model"
                )


def _kernels(node: Node, work: Work) -> list[Kernel]:
    found = candidates(work)
    if not found:
        shapes = ", ".join("x".join(map(str, t.shape)) for t in work.types)
        raise UnsupportedError(f"no kernel computes {node.op.name} '{node.name}' ({shapes}): {node.op}")
    return found


def _smaller_scratch(plan: Plan, layers: Layers) -> Layers | None:
    """The layers with the scratch of the peak's step reduced, or None."""
    k = plan.steps.index(plan.peak)
    layer = layers.items[k]
    scratch = layer.kernel.call(layer.work).scratch_bytes or 0
    for kernel in layer.options[layer.options.index(layer.kernel) + 1 :]:
        if (kernel.call(layer.work).scratch_bytes or 0) < scratch:
            items = (*layers.items[:k], replace(layer, kernel=kernel), *layers.items[k + 1 :])
            return replace(layers, items=items)
    return None
