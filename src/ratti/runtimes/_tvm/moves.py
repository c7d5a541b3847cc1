"""Ops that move elements: each output element names the input element that it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from tvm import te, tirx

from ...graph.ir import Graph, Node
from ...ops.concat import Concat
from ...ops.depth_to_space import DepthToSpace
from ...ops.pack import Pack
from ...ops.pad import Pad
from ...ops.reshape import Reshape
from ...ops.resize_bilinear import FRACTION_BITS, ResizeBilinear
from ...ops.resize_nearest import ResizeNearest
from ...ops.slice import Slice
from ...ops.space_to_depth import SpaceToDepth
from ...ops.transpose import Transpose
from ...types import Array
from .integers import Expr, Tensor, at_flat, flat_index, i32
from .lowering import Lowered, write


def _moved(graph: Graph, node: Node, element: Callable[..., Expr], *tables: Array) -> Lowered:
    """`element(at, *inputs, *tables)` is the input's element that goes to the output's element `at`."""
    shape = graph.type(node.outputs[0]).shape
    return Lowered(lambda *x: te.compute(shape, lambda *at: element(at, *x), "moved"), tables)


@write.register
def _(op: Pad, graph: Graph, node: Node) -> Lowered:
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])

    def build(x: Tensor) -> Tensor:
        def element(*at: Expr) -> Expr:
            inner = [i - before for i, (before, _) in zip(at, op.padding, strict=True)]
            inside = tirx.all(*(tirx.And(i >= 0, i < n) for i, n in zip(inner, source.shape, strict=True)))
            return tirx.if_then_else(inside, x[tuple(inner)], tirx.const(source.zero_point, "int8"))

        return te.compute(out.shape, element, "padded")

    return Lowered(build)


@write.register
def _(op: Reshape, graph: Graph, node: Node) -> Lowered:
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])
    return Lowered(
        lambda x: te.compute(out.shape, lambda *at: at_flat(x, source.shape, flat_index(at, out.shape)), "reshaped")
    )


@write.register
def _(op: Concat, graph: Graph, node: Node) -> Lowered:
    sizes = [t.shape[op.axis] for t in graph.input_types(node)]
    begins = [0, *np.cumsum(sizes).tolist()]

    def element(at: Sequence[Expr], *parts: Tensor) -> Expr:
        def part(k: int) -> Expr:
            return parts[k][(*at[: op.axis], at[op.axis] - begins[k], *at[op.axis + 1 :])]

        return _chosen(at[op.axis], begins[1:], part)

    return _moved(graph, node, element)


@write.register
def _(op: Pack, graph: Graph, node: Node) -> Lowered:
    def element(at: Sequence[Expr], *parts: Tensor) -> Expr:
        rest = (*at[: op.axis], *at[op.axis + 1 :])
        return _chosen(at[op.axis], range(1, len(parts) + 1), lambda k: parts[k][rest])

    return _moved(graph, node, element)


def _chosen(place: Expr, ends: Sequence[int], part: Callable[[int], Expr]) -> Expr:
    """`part(k)` for the first k with `place` before `ends[k]`."""
    value = part(len(ends) - 1)
    for k in reversed(range(len(ends) - 1)):
        value = tirx.if_then_else(place < ends[k], part(k), value)
    return value


@write.register
def _(op: Slice, graph: Graph, node: Node) -> Lowered:
    def element(at: Sequence[Expr], x: Tensor) -> Expr:
        rest = iter(at)
        steps = [0 if d in op.dropped else next(rest) for d in range(len(op.begin))]
        return x[tuple(b + k * s for b, k, s in zip(op.begin, steps, op.stride, strict=True))]

    return _moved(graph, node, element)


@write.register
def _(op: Transpose, graph: Graph, node: Node) -> Lowered:
    places = np.argsort(op.permutation).tolist()
    return _moved(graph, node, lambda at, x: x[tuple(at[k] for k in places)])


@write.register
def _(op: DepthToSpace, graph: Graph, node: Node) -> Lowered:
    b, channels = op.block, graph.type(node.outputs[0]).shape[3]

    def element(at: Sequence[Expr], x: Tensor) -> Expr:
        n, y, column, c = at
        return x[n, y // b, column // b, (y % b * b + column % b) * channels + c]

    return _moved(graph, node, element)


@write.register
def _(op: SpaceToDepth, graph: Graph, node: Node) -> Lowered:
    b, channels = op.block, graph.type(node.inputs[0]).shape[3]

    def element(at: Sequence[Expr], x: Tensor) -> Expr:
        n, y, column, c = at
        block = c // channels
        return x[n, y * b + block // b, column * b + block % b, c % channels]

    return _moved(graph, node, element)


@write.register
def _(op: ResizeNearest, graph: Graph, node: Node) -> Lowered:
    _, h, w, _ = graph.type(node.inputs[0]).shape

    def element(at: Sequence[Expr], x: Tensor, rows: Tensor, columns: Tensor) -> Expr:
        n, y, column, c = at
        return x[n, rows[y], columns[column], c]

    return _moved(graph, node, element, *(op.positions(k, s).astype(np.int32) for k, s in enumerate((h, w))))


@write.register
def _(op: ResizeBilinear, graph: Graph, node: Node) -> Lowered:
    """Positions and weights are tables; the sum of four products has 2 * FRACTION_BITS of fraction."""
    _, h, w, _ = graph.type(node.inputs[0]).shape
    one, half = i32(1 << FRACTION_BITS), i32(1 << (2 * FRACTION_BITS - 1))

    def element(at: Sequence[Expr], x: Tensor, *tables: Tensor) -> Expr:
        n, y, column, c = at
        y0, y1, dy = (t[y] for t in tables[:3])
        x0, x1, dx = (t[column] for t in tables[3:])
        upper, lower = (i32(x[n, row, x0, c]) * (one - dx) + i32(x[n, row, x1, c]) * dx for row in (y0, y1))
        total = upper * (one - dy) + lower * dy
        size = (tirx.abs(total) + half) >> i32(2 * FRACTION_BITS)
        return tirx.Select(total > i32(0), size, i32(0) - size).astype("int8")

    tables = (*op.positions(0, h), *op.positions(1, w))
    return _moved(graph, node, element, *(np.asarray(t).astype(np.int32) for t in tables))
