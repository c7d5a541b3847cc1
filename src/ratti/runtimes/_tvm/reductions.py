"""Ops that make one element of many: pools, means, sums, largest elements, softmax."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from tvm import te, tirx

from ...graph.ir import Graph, Node
from ...ops._pool import Pool2D
from ...ops._reduce import Reduce
from ...ops._window import counts, map_size
from ...ops.arg_max import ArgMax
from ...ops.average_pool2d import AveragePool2D
from ...ops.max_pool2d import MaxPool2D
from ...ops.mean import Mean
from ...ops.reduce_max import ReduceMax
from ...ops.softmax import SUM_INTEGER_BITS, Softmax
from ...ops.sum import Sum
from ...types import Shape
from .integers import Expr, Tensor, by, codes, divide_by_pot, high_mul, i32, i64, padded, saturated
from .lowering import ACCUMULATOR, Lowered, write


@write.register
def _(op: AveragePool2D, graph: Graph, node: Node) -> Lowered:
    """Rounded half away from zero on the codes, over the positions inside the map."""
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])
    inside = counts(map_size(source.shape), op.kernel, op.stride, op.padding).astype(np.int32)

    def build(x: Tensor, n: Tensor) -> Tensor:
        acc = te.compute(out.shape, lambda *at: te.sum(*_window(padded(x, op.padding, 0), op, at)), ACCUMULATOR)

        def element(b: Expr, y: Expr, column: Expr, c: Expr) -> Expr:
            total, count = acc[b, y, column, c], n[y, column, 0]
            size = tirx.truncdiv(tirx.abs(total) + tirx.truncdiv(count, i32(2)), count)
            return codes(tirx.Select(total > i32(0), size, i32(0) - size), 0, op.activation.code_range(out))

        return te.compute(out.shape, element, "mean")

    return Lowered(build, (inside,))


@write.register
def _(op: MaxPool2D, graph: Graph, node: Node) -> Lowered:
    out = graph.type(node.outputs[0])

    def build(x: Tensor) -> Tensor:
        low = out.dtype.limits[0]
        largest = te.compute(out.shape, lambda *at: te.max(*_window(padded(x, op.padding, 0, low), op, at)), "largest")
        return te.compute(out.shape, lambda *at: codes(largest[at], 0, op.activation.code_range(out)), "clipped")

    return Lowered(build)


def _window(x: Tensor, op: Pool2D, at: Sequence[Expr]) -> tuple[Expr, list[Any]]:
    """The element of a pool's window, and the axes that run over it."""
    n, y, column, c = at
    ky, kx = te.reduce_axis((0, op.kernel[0]), "ky"), te.reduce_axis((0, op.kernel[1]), "kx")
    return i32(x[n, y * op.stride[0] + ky, column * op.stride[1] + kx, c]), [ky, kx]


@write.register(Mean)
@write.register(Sum)
def _(op: Mean | Sum, graph: Graph, node: Node) -> Lowered:
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])
    scale = op.multiplier(source, out)

    def build(x: Tensor) -> Tensor:
        def total(*at: Expr) -> Expr:
            value, axes = _reduced(x, op, source.shape, at)
            return te.sum(value - i32(source.zero_point), axis=axes)

        acc = te.compute(out.shape, total, ACCUMULATOR)
        return te.compute(
            out.shape, lambda *at: codes(by(acc[at], scale), out.zero_point, out.dtype.limits), "rescaled"
        )

    return Lowered(build)


@write.register
def _(op: ReduceMax, graph: Graph, node: Node) -> Lowered:
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])

    def build(x: Tensor) -> Tensor:
        def largest(*at: Expr) -> Expr:
            value, axes = _reduced(x, op, source.shape, at)
            return te.max(value, axis=axes)

        top = te.compute(out.shape, largest, "largest")
        return te.compute(out.shape, lambda *at: top[at].astype("int8"), "narrowed")

    return Lowered(build)


def _reduced(x: Tensor, op: Reduce, shape: Shape, at: Sequence[Expr]) -> tuple[Expr, list[Any]]:
    """The element of `x` that goes to the output's element `at`, and the axes that run over it."""
    axes = {d: te.reduce_axis((0, shape[d]), f"d{d}") for d in op.axes}
    kept = [d for d in range(len(shape)) if d not in op.axes]
    outer = dict(zip(kept, (at[d] for d in kept) if op.keep_dims else at, strict=True))
    return i32(x[tuple({**axes, **outer}[d] for d in range(len(shape)))]), list(axes.values())


@write.register
def _(op: ArgMax, graph: Graph, node: Node) -> Lowered:
    """The smallest place of those that hold the largest code."""
    out, size = graph.type(node.outputs[0]), graph.type(node.inputs[0]).shape[op.axis]

    def along(x: Tensor, at: Sequence[Expr], k: Expr) -> Expr:
        return i32(x[(*at[: op.axis], k, *at[op.axis :])])

    def build(x: Tensor) -> Tensor:
        def largest(*at: Expr) -> Expr:
            k = te.reduce_axis((0, size), "k")
            return te.max(along(x, at, k), axis=[k])

        top = te.compute(out.shape, largest, "largest")

        def place(*at: Expr) -> Expr:
            k = te.reduce_axis((0, size), "k")
            return te.min(tirx.Select(along(x, at, k) == top[at], i32(k), i32(size)), axis=[k])

        return te.compute(out.shape, place, "place")

    return Lowered(build)


@write.register
def _(op: Softmax, graph: Graph, node: Node) -> Lowered:
    """The exponentials of all 256 differences are a table; the reciprocal is three Newton-Raphson steps."""
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])
    rows, classes = out.shape[:-1], out.shape[-1]

    def build(x: Tensor, table: Tensor) -> Tensor:
        def largest(*row: Expr) -> Expr:
            c = te.reduce_axis((0, classes), "c")
            return te.max(i32(x[(*row, c)]), axis=[c])

        top = te.compute(rows, largest, "largest")
        exps = te.compute(out.shape, lambda *at: table[top[at[:-1]] - i32(x[at])], "exps")

        def sums(*row: Expr) -> Expr:
            c = te.reduce_axis((0, classes), "c")
            return te.sum(divide_by_pot(exps[(*row, c)], SUM_INTEGER_BITS), axis=[c])

        total = te.compute(rows, sums, ACCUMULATOR)
        headroom = te.compute(rows, lambda *row: i32(tirx.clz(total[row])), "headroom")
        # A stage of its own: TVM's bounds of a shift by a difference are wrong, and it would drop the clip at 127.
        right = te.compute(rows, lambda *row: i32(SUM_INTEGER_BITS + 31 - 8) - headroom[row], "right")
        inverse = _reciprocal(rows, lambda row: (i64(total[row]) << i64(headroom[row])) - i64(1 << 31))

        def element(*at: Expr) -> Expr:
            product = high_mul(inverse[at[:-1]], exps[at])
            return codes(divide_by_pot(product, right[at[:-1]]), out.zero_point, out.dtype.limits)

        return te.compute(out.shape, element, "softmax")

    return Lowered(build, (op.exponentials(source).astype(np.int32),))


def _reciprocal(rows: Shape, fraction: Callable[[Sequence[Expr]], Expr]) -> Tensor:
    """1 / (1 + fraction) in Q0.31 for fractions in [0, 1) in Q0.31."""
    half = te.compute(rows, lambda *row: i32((fraction(row) + i64(1 << 31)) >> i64(1)), "half")
    start, slope = round(48 / 17 * (1 << 29)), round(-32 / 17 * (1 << 29))
    x = te.compute(rows, lambda *row: i32(start) + high_mul(half[row], slope), "guess")  # Q2.29
    for _ in range(3):
        x = _newton_step(rows, half, x)
    return te.compute(rows, lambda *row: i32(saturated(i64(x[row]) << i64(1))), "reciprocal")


def _newton_step(rows: Shape, half: Tensor, x: Tensor) -> Tensor:
    def step(*row: Expr) -> Expr:
        error = i32(1 << 29) - high_mul(half[row], x[row])
        return i32(saturated(i64(x[row]) + saturated(i64(high_mul(x[row], error)) << i64(2))))

    return te.compute(rows, step, "better")
