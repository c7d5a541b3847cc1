"""Layers on patches of their maps: each patch of the last map is computed from the first on, its halo again.

The meaning stays: a patch is a slice of what the layers read, the layers with the padding that is left at its borders,
and a place in the result. So all that serves graphs serves patches.
Source: Lin et al. 2021, "MCUNetV2: Memory-Efficient Patch-based Inference for Tiny Deep Learning".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

from ..ops._binary import Binary
from ..ops._pool import Pool2D
from ..ops._unary import Unary
from ..ops._window import map_size
from ..ops.base import Op
from ..ops.concat import Concat
from ..ops.conv2d import Conv2D
from ..ops.depthwise_conv2d import DepthwiseConv2D
from ..ops.requantize import Requantize
from ..ops.slice import Slice
from ..types import TensorType
from .builder import unique
from .ir import Graph, Node, Value
from .passes._rewrite import consumers, rewrite

Range = tuple[int, int]  # begin and end


@dataclass(frozen=True)
class Box:
    """Rows and columns of a map."""

    rows: Range
    columns: Range

    def union(self, other: Box | None) -> Box:
        if other is None:
            return self
        ranges = [
            (min(a[0], b[0]), max(a[1], b[1]))
            for a, b in ((self.rows, other.rows), (self.columns, other.columns))
        ]
        return Box(ranges[0], ranges[1])

    @property
    def size(self) -> tuple[int, int]:
        return self.rows[1] - self.rows[0], self.columns[1] - self.columns[0]


def cut(graph: Graph, nodes: tuple[Node, ...], size: int) -> tuple[Graph, int] | None:
    """`graph` with `nodes`, which follow each other, on patches of size x size pixels of what the last of them
    computes, and how many patches there are. None where they have none.
    """
    if not has_patches(graph, nodes):
        return None
    result = nodes[-1].outputs[0]
    cutter = _Cutter(graph, nodes)
    _, height, width, _ = graph.type(result).shape
    rows, columns = _parts(height, size), _parts(width, size)
    try:
        for row in rows:
            for column in columns:
                cutter.patch(Box(row, column))
            cutter.join(2)
        cutter.join(1, result)
    except NothingReadError:
        return None
    names = {n.name for n in nodes}
    rest = [n for n in graph.nodes if n.name not in names]
    before = sum(1 for n in graph.nodes[: graph.nodes.index(nodes[-1])] if n.name not in names)
    new = [*rest[:before], *cutter.nodes, *rest[before:]]
    return rewrite(graph, new, cutter.values.values()), len(rows) * len(columns)


def has_patches(graph: Graph, nodes: tuple[Node, ...]) -> bool:
    """True where each pixel of every result depends on pixels around it, and only the last is read outside."""
    result = nodes[-1].outputs[0]
    readers, names = consumers(graph), {n.name for n in nodes}
    inner = {n.outputs[0] for n in nodes} - {result}
    escape = any(o in graph.outputs or any(r.name not in names for r in readers.get(o, [])) for o in inner)
    maps = all(len(graph.type(v).shape) == 4 for n in nodes for v in (*graph.activations(n.inputs), *n.outputs))
    return not escape and maps and all(is_local(graph, n) for n in nodes)


def boxes(graph: Graph, nodes: tuple[Node, ...], box: Box) -> dict[str, Box]:
    """The part of every value that a part of the last result is computed from. NothingReadError where one is empty."""
    wanted: dict[str, Box] = {nodes[-1].outputs[0]: box}
    for node in reversed(nodes):
        for name in graph.activations(node.inputs):
            needed, _ = _needs(graph, node, name, wanted[node.outputs[0]])
            wanted[name] = needed.union(wanted.get(name))
    return wanted


class NothingReadError(Exception):
    """A patch lies in the padding alone."""


def is_local(graph: Graph, node: Node) -> bool:
    """True where each pixel of the result depends on pixels around it."""
    if isinstance(node.op, (Conv2D, DepthwiseConv2D, Pool2D, Unary, Requantize)):
        return True
    shape = graph.type(node.outputs[0]).shape
    constants = [i for i in node.inputs if graph.values[i].is_constant]
    alike = all(graph.type(i).shape == shape for i in graph.activations(node.inputs))
    return isinstance(node.op, Binary) and alike and all(_is_everywhere(graph.type(i)) for i in constants)


def _is_everywhere(type: TensorType) -> bool:
    """True for a constant that is the same for every pixel."""
    return all(n == 1 for n in type.shape[-3:-1])


def _parts(length: int, size: int) -> list[Range]:
    return list(pairwise([*range(0, length, size), length]))


class _Cutter:
    """The nodes and values of all patches."""

    def __init__(self, graph: Graph, nodes: tuple[Node, ...]) -> None:
        self.graph, self.old, self.inside = graph, nodes, {n.outputs[0] for n in nodes}
        self.nodes: list[Node] = []
        self.values: dict[str, Value] = {}
        self._names = {n.name for n in graph.nodes} - {n.name for n in nodes}
        self._pieces: list[str] = []  # of the row of patches that is computed
        self._bands: list[str] = []  # rows of patches

    def patch(self, box: Box) -> None:
        """Computes a patch of the last map."""
        wanted = boxes(self.graph, self.old, box)
        tiles: dict[tuple[str, Box], str] = {}
        for node in self.old:
            made = wanted[node.outputs[0]]
            inputs, op = [], node.op
            for name in node.inputs:
                if self.graph.values[name].is_constant:
                    inputs.append(name)
                    continue
                needed, op = _needs(self.graph, node, name, made)
                inputs.append(self._tile(name, needed, wanted[name], tiles))
            tiles[node.outputs[0], made] = self._add(node.name, op, inputs, node.outputs[0], made.size)
        self._pieces.append(tiles[self.old[-1].outputs[0], box])

    def join(self, axis: int, result: str = "") -> None:
        """Joins a row of patches, or the rows; the whole has the name `result`."""
        pieces = self._pieces if axis == 2 else self._bands
        last = self.old[-1]
        whole = pieces[0]
        if len(pieces) > 1 or result:
            sizes = [self._size(p) for p in pieces]
            size = (sum(s[0] for s in sizes), sizes[0][1]) if axis == 1 else (sizes[0][0], sum(s[1] for s in sizes))
            whole = self._add(f"{last.name}_join", Concat(axis), pieces, last.outputs[0], size, result)
        if axis == 2:
            self._bands.append(whole)
            self._pieces = []

    def _size(self, name: str) -> tuple[int, int]:
        shape = self.values[name].type.shape
        return shape[1], shape[2]

    def _tile(self, name: str, needed: Box, made: Box, tiles: dict[tuple[str, Box], str]) -> str:
        """The value that holds a part of a map."""
        if (name, needed) in tiles:
            return tiles[name, needed]
        _, height, width, channels = self.graph.type(name).shape
        source, offset = (tiles[name, made], made) if name in self.inside else (name, Box((0, height), (0, width)))
        if offset == needed:
            return source
        begin = (0, needed.rows[0] - offset.rows[0], needed.columns[0] - offset.columns[0], 0)
        op = Slice(begin, (1, *needed.size, channels), (1, 1, 1, 1))
        tiles[name, needed] = self._add(f"{name}_patch", op, [source], name, needed.size)
        return tiles[name, needed]

    def _add(
        self, name: str, op: Op, inputs: list[str], like: str, size: tuple[int, int], output: str = ""
    ) -> str:
        """A node whose result is a part of the map `like`."""
        name = unique(name, self._names)
        self._names.add(name)
        type = self.graph.type(like)
        output = output or unique(f"{name}_out", {**self.graph.values, **self.values})
        self.values[output] = Value(output, replace(type, shape=(1, *size, type.shape[3])))
        self.nodes.append(Node(name, op, tuple(inputs), (output,)))
        return output


def _needs(graph: Graph, node: Node, operand: str, box: Box) -> tuple[Box, Op]:
    """The part of an operand that a part of a node's result is computed from, and the op that does it."""
    op = node.op
    if not isinstance(op, (Conv2D, DepthwiseConv2D, Pool2D)):
        return box, op
    _, height, width, _ = graph.type(operand).shape
    if isinstance(op, Pool2D):
        kernel, dilation = op.kernel, (1, 1)
    else:
        kernel, dilation = map_size(graph.type(node.inputs[1]).shape), op.dilation
    top, _, left, _ = op.padding
    rows, above, below = _reach(box.rows, height, kernel[0], op.stride[0], top, dilation[0])
    columns, before, behind = _reach(box.columns, width, kernel[1], op.stride[1], left, dilation[1])
    return Box(rows, columns), replace(op, padding=(above, below, before, behind))


def _reach(part: Range, size: int, taps: int, stride: int, pad: int, dilation: int) -> tuple[Range, int, int]:
    """What windows read of a dimension, and the padding before and behind it that is left."""
    begin, end = part[0] * stride - pad, (part[1] - 1) * stride - pad + (taps - 1) * dilation + 1
    if end <= 0 or begin >= size:
        raise NothingReadError
    return (max(begin, 0), min(end, size)), max(-begin, 0), max(end - size, 0)
