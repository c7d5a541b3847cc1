"""From layers, some of them in streams, to a plan: blocks with life times, and their places in the arena."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..kernels import Overlap, call_of
from .arena import Block, least, place, shared_bytes
from .layers import Layers
from .plan import Plan, Step, Stream, Window
from .stream import Bands


@dataclass(frozen=True)
class Unit:
    """What one call computes: layers [begin, end), one of them or a stream."""

    begin: int
    end: int
    bands: Bands | None = None


def needed_bytes(layers: Layers, unit: Unit) -> int:
    """Bytes that the arena needs while a unit runs, with the best overlap that its rules allow."""
    alive = [r for r in layers.born if layers.born[r] < unit.begin <= layers.last[r]]
    results = unit.bands.whole if unit.bands else (layers.items[unit.begin].output,)
    blocks = [Block(r, layers.bytes(r), -1, int(layers.last[r] >= unit.end)) for r in alive]
    blocks += [Block(r, layers.bytes(r), 0, 1) for r in results]
    return least([*blocks, *_private(layers, unit, 0)], _rules(layers, unit))


def instructions(layers: Layers, unit: Unit) -> float:
    """Estimated, of all layers of a unit."""
    if unit.bands is not None:
        return unit.bands.instructions
    layer = layers.items[unit.begin]
    return layer.kernel.instructions(layer.work)


def lay_out(layers: Layers, units: Sequence[Unit]) -> Plan:
    """The plan that runs `units` in order."""
    of_layer = {k: u for u, unit in enumerate(units) for k in range(unit.begin, unit.end)} | {-1: -1}
    of_layer[len(layers.items)] = len(units)
    inside = {n for u in units if u.bands for n in u.bands.homes if n not in u.bands.whole}
    values = [
        Block(r, layers.bytes(r), of_layer[layers.born[r]], of_layer[layers.last[r]])
        for r in layers.born
        if r not in inside
    ]
    private = [_private(layers, unit, u) for u, unit in enumerate(units)]
    windows = [b for blocks in private for b in blocks if b.name in inside]
    rules: dict[tuple[str, str], Overlap] = {}
    for unit in units:
        rules |= _rules(layers, unit)
    offsets, arena_bytes = place([*values, *(b for blocks in private for b in blocks)], rules)
    activation_bytes = min(place([*values, *windows], rules)[1], arena_bytes)
    steps: list[Step] = []
    streams: list[Stream] = []
    for u, unit in enumerate(units):
        alive = [b for b in [*values, *windows] if b.first <= u <= b.last]
        steps += _steps(layers, unit, alive, offsets)
        if unit.bands is not None:
            streams.append(_stream(layers, unit.bands))
    homes = {n: home for unit in units if unit.bands for n, home in unit.bands.homes.items()}
    places = {name: offsets[homes.get(root, root)] for name, root in layers.roots.items()}
    return Plan(
        graph=layers.graph,
        steps=tuple(steps),
        streams=tuple(streams),
        patches=layers.patches,
        offsets=places,
        arena_bytes=arena_bytes,
        activation_bytes=activation_bytes,
        lower_bound_bytes=layers.lower_bound_bytes,
    )


def _private(layers: Layers, unit: Unit, time: int) -> list[Block]:
    """Scratch and windows: what exists only while the unit runs."""
    if unit.bands is None:
        layer = layers.items[unit.begin]
        sizes = {f"{layer.output}/scratch": call_of(layer.kernel, layer.work).scratch_bytes or 0}
    else:
        sizes = dict(unit.bands.bytes) | {f"{unit.bands.whole[-1]}/scratch": unit.bands.scratch_bytes}
        sizes |= {f"{name}/kept": kept for name, kept in unit.bands.kept_bytes.items()}
    return [Block(name, size, time, time) for name, size in sizes.items() if size]


def _rules(layers: Layers, unit: Unit) -> Mapping[tuple[str, str], Overlap]:
    if unit.bands is not None:
        return unit.bands.overlaps
    k = unit.begin
    found = {root: layers.overlaps.get((k, root)) for _, _, root in layers.reads[k] if layers.last[root] == k}
    return {(layers.items[k].output, root): overlap for root, overlap in found.items() if overlap is not None}


def _steps(layers: Layers, unit: Unit, alive: Sequence[Block], offsets: Mapping[str, int]) -> list[Step]:
    steps = []
    for k in range(unit.begin, unit.end):
        layer, bands = layers.items[k], unit.bands
        kernel = bands.kernels[k - unit.begin] if bands else layer.kernel
        call = call_of(kernel, layer.work)
        name, size = f"{layer.output}/scratch", call.scratch_bytes or 0
        if bands is not None:
            kept = bands.kept_bytes.get(layer.output)
            name = f"{layer.output}/kept" if kept else f"{bands.whole[-1]}/scratch"
            size = (kept or bands.scratch_bytes) if size else 0
        steps.append(
            Step(
                node=layer.node,
                kernel=kernel,
                work=layer.work,
                call=call,
                inputs=tuple(n for _, n, _ in layers.reads[k]),
                output=layer.output,
                scratch_offset=offsets[name] if size else 0,
                scratch_bytes=size,
                live=tuple((b.name, b.bytes) for b in alive),
                shared_bytes=shared_bytes(alive, offsets),
            )
        )
    return steps


def _stream(layers: Layers, bands: Bands) -> Stream:
    windows = {}
    for name, first in bands.first.items():
        if bands.homes[name] not in bands.whole:
            type = layers.graph.type(name)
            windows[name] = Window(name, type.bytes // type.shape[1], first, name in bands.slides)
    return Stream(bands.begin, bands.end, bands.ends, windows)
