"""Choice of kernels, and of what to compute as streams and patches."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ..errors import UnsupportedError
from ..graph.ir import Graph, Node
from ..graph.patches import cut
from ..kernels import Kernel, Work, call_of, candidates, lean_features
from ..ops.reshape import Reshape
from .layers import Layer, Layers
from .layout import Unit, instructions, lay_out, needed_bytes
from .order import reorder
from .patches import Cut, cuts
from .plan import Patches, Plan
from .stream import make_bands

HEIGHTS = (1, 2, 3, 4, 6, 8)  # rows of a band
MOST_LAYERS = 24  # of a stream
MOST_CUTS = 4  # into patches that are planned
MISJUDGED = 1.05  # arena of a cut by estimate beside what it may be: the estimate knows no overlaps


def make_plan(
    graph: Graph,
    features: frozenset[str],
    arena_limit: int | None = None,
    kernels: Mapping[str, Kernel] | None = None,
    streaming: bool = True,
    lean: Collection[str] = (),
) -> Plan:
    """A plan for a core with `features`: the fastest kernels, layer by layer; where that takes more than `arena_limit`
    bytes, the fastest plan with streams that does not, then slower kernels with less scratch, and then patches.

    `kernels` fixes the choice for nodes by name; nodes in `lean` get kernels that spare flash. Without
    `streaming` the plan has neither streams nor patches. A plan over `arena_limit` is still returned: it is the
    smallest that was found.
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
    if streaming and not kernels and plan.arena_bytes > arena_limit:
        for chosen in front_of(c for c in cuts(graph) if c.bytes <= MISJUDGED * arena_limit):
            for plan in in_patches(graph, features, lean, chosen, arena_limit):
                found.append(plan)
                if plan.arena_bytes <= arena_limit:
                    return plan
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
    for chosen in front_of(c for c in cuts(graph) if c.bytes <= MISJUDGED * plans[-1].arena_bytes):
        plan = in_patches(graph, features, lean, chosen, 0)[-1]
        if plan.arena_bytes < plans[-1].arena_bytes:
            plans.append(plan)
    return plans


def front_of(found: Iterable[Cut]) -> list[Cut]:
    """Cuts that no other beats in bytes and work, at most `MOST_CUTS`; largest first."""
    kept: list[Cut] = []
    for each in sorted(found, key=lambda c: (c.work, c.bytes)):
        if not kept or each.bytes < kept[-1].bytes:
            kept.append(each)
    return [kept[k] for k in sorted({round(k * (len(kept) - 1) / (MOST_CUTS - 1)) for k in range(MOST_CUTS)}) if kept]


def in_patches(
    graph: Graph, features: frozenset[str], lean: Collection[str], chosen: Cut, limit: int
) -> list[Plan]:
    """Plans of `graph` with its first layers in patches, and then single layers or streams: the fastest whose estimate
    is within `limit`, and the smallest.
    """
    nodes = graph.nodes[: chosen.layers]
    made = cut(graph, nodes, chosen.size)
    if made is None:
        return []
    patched, count = made
    items = _items(patched, features, {}, lean)
    steps = len(patched.nodes) - len(graph.nodes) + chosen.layers
    group = Patches(0, steps, len(nodes), nodes[-1].name, count)
    layers = Layers(patched, items, make_layers(graph, features, {}).lower_bound_bytes, group)
    front = fronts(layers, steps)
    fitting = [units for bytes_, units in front if bytes_ <= limit]
    return [lay_out(layers, units) for units in (*fitting[-1:], front[0][1])]


def make_layers(
    graph: Graph, features: frozenset[str], fixed: Mapping[str, Kernel], lean: Collection[str] = ()
) -> Layers:
    """The layers of a graph with the fastest kernels, in the order with the least peak; errors as `make_plan`."""
    if not graph.is_quantized:
        raise UnsupportedError(f"model '{graph.name}' is a float model; only int8 models become firmware")
    _refuse_unplannable(graph)
    items = _items(graph, features, fixed, lean)
    if not items:
        raise UnsupportedError(f"model '{graph.name}' computes nothing")
    layers, bound = reorder(Layers(graph, items))
    return replace(layers, lower_bound_bytes=bound)


def _items(
    graph: Graph, features: frozenset[str], fixed: Mapping[str, Kernel], lean: Collection[str]
) -> tuple[Layer, ...]:
    """Layers with the fastest kernels; those that compute the same have one work, so that it is looked at once."""
    known: dict[tuple[object, ...], tuple[Work, tuple[Kernel, ...]]] = {}
    items = []
    for node in graph.nodes:
        if isinstance(node.op, Reshape):
            continue
        constants = tuple(n for n in node.inputs if graph.values[n].is_constant)
        key = (node.op, graph.input_types(node), graph.output_types(node), constants, node.name in lean)
        if key not in known or node.name in fixed:
            work = Work.of(graph, node, lean_features(features) if node.name in lean else features)
            known[key] = work, (fixed[node.name],) if node.name in fixed else tuple(_kernels(node, work))
        work, options = known[key]
        items.append(Layer(node, work, options, options[0]))
    return tuple(items)


def fronts(layers: Layers, first: int = 0) -> list[tuple[int, tuple[Unit, ...]]]:
    """(bytes, units): the fastest ways to cut the layers into streams and single layers for the bytes that they need,
    both by estimate; fewest bytes first. Layers before `first` are single.

    Cuts up to each layer are kept where no other is both smaller and faster.
    """
    ways: list[list[tuple[int, float, tuple[Unit, ...]]]] = [[(0, 0.0, ())]]
    units: dict[int, list[tuple[int, float, Unit]]] = {}
    for unit in _units(layers, first):
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


def _units(layers: Layers, first: int) -> list[Unit]:
    """Single layers, and the streams that there are from layer `first` on."""
    found = []
    for begin in range(len(layers.items)):
        found.append(Unit(begin, begin + 1))
        if begin < first:
            continue
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
    scratch = call_of(layer.kernel, layer.work).scratch_bytes or 0
    for kernel in layer.options[layer.options.index(layer.kernel) + 1 :]:
        if (call_of(kernel, layer.work).scratch_bytes or 0) < scratch:
            items = (*layers.items[:k], replace(layer, kernel=kernel), *layers.items[k + 1 :])
            return replace(layers, items=items)
    return None
