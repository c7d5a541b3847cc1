"""Which channels of a net belong together: what can only be removed at once, through additions, concatenations, groups
and shuffles. After DepGraph (Fang et al. 2023), with channels followed one by one instead of layer by layer, so that a
shuffle is only a permutation of names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..types import Array
from ._joins import Add, Channels, Concat, Scale, Shuffle
from ._layers import INPUT, NUMBERS, Conv, Fc, Flatten, Wire
from ._spec import NetSpec, wired


@dataclass(frozen=True)
class Units:
    """The channels of every layer as numbers of units; channels with one number are removed together.

    `inputs` and `outputs` hold, by layer name, (channels,) int64; `fixed` are units that must stay (what the net is
    given, what it answers).
    """

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]
    blocks: tuple[Array, ...]  # the channels that each block takes
    fixed: frozenset[int]

    @property
    def removable(self) -> Array:
        """Units that may go, ascending."""
        every = np.unique(np.concatenate([*self.outputs.values()]))
        return np.array([u for u in every.tolist() if u not in self.fixed], np.int64)

    def families(self) -> dict[tuple[str, ...], Array]:
        """Removable units by the layers that make them: units of one family cost the same."""
        makers: dict[int, list[str]] = {int(u): [] for u in self.removable}
        for name, channels in self.outputs.items():
            for u in np.unique(channels).tolist():
                if u in makers:
                    makers[u].append(name)
        found: dict[tuple[str, ...], list[int]] = {}
        for unit, names in makers.items():
            found.setdefault(tuple(names), []).append(unit)
        return {names: np.array(units, np.int64) for names, units in found.items()}


def units(spec: NetSpec) -> Units:
    """The units of `spec`."""
    walk = _Walk()
    x = walk.new(spec.input_shape[-1])
    numbers = walk.new(spec.numbers)
    fixed = [*x, *numbers]
    inputs, outputs, taken_by = {}, {}, []
    for number, (block, shape) in enumerate(zip(spec.blocks, spec.shapes, strict=False), 1):
        wires = block.wires(shape)
        shapes = wired(wires, shape, spec.numbers)
        values = {INPUT: x, NUMBERS: numbers}
        taken_by.append(x)
        for wire in wires:
            name = f"b{number:02d}.{wire.name}"
            taken = [values[i] for i in wire.inputs]
            if isinstance(wire.layer, Flatten):  # NHWC: the channels again for each position
                h, w, _ = shapes[wire.inputs[0]]
                x = np.tile(taken[0], h * w)
            else:
                x = walk.through(wire, taken)
            values[wire.name] = x
            if isinstance(wire.layer, Conv | Fc):
                inputs[name], outputs[name] = taken[0], x
    fixed += list(x)
    return Units({n: walk.settled(v) for n, v in inputs.items()}, {n: walk.settled(v) for n, v in outputs.items()},
                 tuple(walk.settled(v) for v in taken_by), frozenset(walk.settled(np.array(fixed, np.int64)).tolist()))


def without(spec: NetSpec, removed: Array, name: str | None = None) -> NetSpec:
    """`spec` without the units `removed`: every width smaller by what goes. Nothing may be left without a channel."""
    found, gone = units(spec), set(removed.tolist())
    blocks = []
    for number, (block, shape) in enumerate(zip(spec.blocks, spec.shapes, strict=False), 1):
        prefix = f"b{number:02d}."
        names = [w.name for w in block.wires(shape) if prefix + w.name in found.outputs]
        widths = {n: _left(found.outputs[prefix + n], gone) for n in names}
        taken = {n: _left(found.inputs[prefix + n], gone) for n in names}
        taken[INPUT] = _left(found.blocks[number - 1], gone)
        blocks.append(block.resized(widths, taken) if widths else block)
    return NetSpec(name or spec.name, spec.input_shape, tuple(blocks), spec.numbers)


def _left(channels: Array, gone: set[int]) -> int:
    return sum(u not in gone for u in channels.tolist())


class _Walk:
    """Union-find over channels."""

    def __init__(self) -> None:
        self._parent: list[int] = []

    def new(self, count: int) -> Array:
        start = len(self._parent)
        self._parent += range(start, start + count)
        return np.arange(start, start + count)

    def through(self, wire: Wire, taken: list[Array]) -> Array:
        """The channels of a layer's output."""
        layer, x = wire.layer, taken[0]
        if isinstance(layer, Conv):
            return self._conv(layer, x)
        if isinstance(layer, Fc):
            return self.new(layer.width)
        if isinstance(layer, Add | Scale):
            self._together(*taken)
        elif isinstance(layer, Concat):
            return np.concatenate(taken)
        elif isinstance(layer, Channels):
            return x[layer.begin : layer.end]
        elif isinstance(layer, Shuffle):
            groups = x.reshape(layer.groups, -1)
            self._together(*groups)  # so that all groups stay equally large
            return groups.T.ravel()
        return x

    def settled(self, channels: Array) -> Array:
        return np.array([self._find(int(c)) for c in channels], np.int64)

    def _conv(self, layer: Conv, x: Array) -> Array:
        if layer.groups == len(x) and layer.groups > 1:  # depthwise: a channel is made of itself
            times = layer.width // layer.groups
            return x if times == 1 else np.repeat(x, times)
        out = self.new(layer.width)
        if layer.groups > 1:
            self._together(*x.reshape(layer.groups, -1))
            self._together(*out.reshape(layer.groups, -1))
        return out

    def _together(self, first: Array, *others: Array) -> None:
        for other in others:
            for a, b in zip(first.tolist(), other.tolist(), strict=True):
                ra, rb = self._find(a), self._find(b)
                self._parent[max(ra, rb)] = min(ra, rb)

    def _find(self, channel: int) -> int:
        while self._parent[channel] != channel:
            self._parent[channel] = self._parent[self._parent[channel]]
            channel = self._parent[channel]
        return channel
