"""Every op as integer loops in TVM's tensor expressions: `write(op, …)` holds one function an op, found by its class.

The arithmetic is the interpreter's to the last bit: int8 weights, int32 accumulators, TFLite's double rounding. No
float type occurs anywhere. Maps are NHWC; convolution weights are HWIO, so that the innermost loop runs over channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

import numpy as np
from tvm import te, tirx

from ..errors import UnsupportedError
from ..fixed_point import INT32_MAX, INT32_MIN
from ..graph.ir import Graph, Node
from ..ops._accumulate import channel_multipliers
from ..ops._pool import Pool2D
from ..ops._unary import Unary
from ..ops._window import counts, map_size
from ..ops.add import Add
from ..ops.average_pool2d import AveragePool2D
from ..ops.base import Activation, Op
from ..ops.conv2d import Conv2D
from ..ops.depthwise_conv2d import DepthwiseConv2D
from ..ops.fully_connected import FullyConnected
from ..ops.max_pool2d import MaxPool2D
from ..ops.mean import Mean
from ..ops.pad import Pad
from ..ops.reshape import Reshape
from ..ops.softmax import SUM_INTEGER_BITS, Softmax
from ..types import Array, Shape, TensorType

Tensor = Any  # te.Tensor
Expr = Any  # an element

# Names of stages that scheduling looks for: sums, and their codes.
ACCUMULATOR, RESCALED = "accumulator", "codes"


@dataclass(frozen=True)
class Lowered:
    """`build(inputs, *constants)` makes the output tensor of one node from te tensors."""

    build: Callable[..., Tensor]
    constants: tuple[Array, ...] = ()


@singledispatch
def write(op: Op, graph: Graph, node: Node) -> Lowered:
    """The loops of `node`. UnsupportedError for an op without any."""
    raise UnsupportedError(f"{op.name} '{node.name}' has no TVM form here")


def supported(op: Op) -> bool:
    return write.dispatch(type(op)) is not write.dispatch(object)


def i32(value: Any) -> Expr:
    return tirx.const(int(value), "int32") if isinstance(value, (int, np.integer)) else value.astype("int32")


def i64(value: Any) -> Expr:
    return tirx.const(int(value), "int64") if isinstance(value, (int, np.integer)) else value.astype("int64")


def high_mul(a: Expr, b: Any) -> Expr:
    """round(a * b / 2**31), ties upward: int32. (-2**31)**2 does not occur: multipliers are positive."""
    return ((i64(a) * i64(b) + i64(1 << 30)) >> i64(31)).astype("int32")


def divide_by_pot(x: Expr, exponent: Any) -> Expr:
    """round(x / 2**exponent), ties away from zero: int32."""
    e = i32(exponent)
    mask = (i32(1) << e) - i32(1)
    remainder = x & mask
    threshold = (mask >> i32(1)) + tirx.Select(x < i32(0), i32(1), i32(0))
    return (x >> e) + tirx.Select(remainder > threshold, i32(1), i32(0))


def requantize(acc: Expr, multiplier: Any, left: Any, right: Any) -> Expr:
    """acc * multiplier * 2**(left - right - 31) with double rounding."""
    return divide_by_pot(high_mul(i32(acc) << i32(left), multiplier), right)


def codes(value: Expr, zero_point: int, limits: tuple[int, int]) -> Expr:
    low, high = limits
    return tirx.max(tirx.min(value + i32(zero_point), i32(high)), i32(low)).astype("int8")


def shifts(shift: Array) -> tuple[Array, Array]:
    """Left and right parts of TFLite's shifts."""
    shift = np.atleast_1d(np.asarray(shift))
    return np.maximum(shift, 0).astype(np.int32), np.maximum(-shift, 0).astype(np.int32)


def _scales(graph: Graph, node: Node, channels: int) -> tuple[Array, ...]:
    """Bias, multiplier, left and right shift of every output channel: (C,) int32 each."""
    types = graph.input_types(node)
    multiplier, shift = channel_multipliers(types[0], types[1], graph.type(node.outputs[0]))
    left, right = shifts(shift)
    bias = graph.values[node.inputs[2]].data if len(node.inputs) > 2 else np.zeros(channels, np.int32)
    rows = (bias, np.atleast_1d(multiplier), left, right)
    return tuple(np.ascontiguousarray(np.broadcast_to(np.asarray(r, np.int32), (channels,))) for r in rows)


def _weights(graph: Graph, node: Node) -> Array:
    data = graph.values[node.inputs[1]].data
    assert data is not None
    return data


@write.register
def _(op: Conv2D, graph: Graph, node: Node) -> Lowered:
    weights = np.ascontiguousarray(_weights(graph, node).transpose(1, 2, 3, 0))  # OHWI -> HWIO
    kh, kw, inputs, outputs = weights.shape
    per_group = outputs // op.groups

    def products(x: Tensor, w: Tensor, n: Expr, y: Expr, column: Expr, o: Expr) -> Expr:
        ky, kx, i = (te.reduce_axis((0, k), name) for k, name in ((kh, "ky"), (kw, "kx"), (inputs, "i")))
        group = o % op.groups if op.interleaved else o // per_group
        c = i if op.groups == 1 else group * inputs + i
        value = x[n, y * op.stride[0] + ky * op.dilation[0], column * op.stride[1] + kx * op.dilation[1], c]
        return te.sum(i32(value) * i32(w[ky, kx, i, o]), axis=[ky, kx, i])

    return _convolution(graph, node, op, weights, products)


@write.register
def _(op: DepthwiseConv2D, graph: Graph, node: Node) -> Lowered:
    weights = _weights(graph, node)[0]  # 1HWO -> HWO
    kh, kw, _ = weights.shape

    def products(x: Tensor, w: Tensor, n: Expr, y: Expr, column: Expr, o: Expr) -> Expr:
        ky, kx = te.reduce_axis((0, kh), "ky"), te.reduce_axis((0, kw), "kx")
        c = o if op.multiplier == 1 else o // op.multiplier
        value = x[n, y * op.stride[0] + ky * op.dilation[0], column * op.stride[1] + kx * op.dilation[1], c]
        return te.sum(i32(value) * i32(w[ky, kx, o]), axis=[ky, kx])

    return _convolution(graph, node, op, weights, products)


def _convolution(
    graph: Graph, node: Node, op: Conv2D | DepthwiseConv2D, weights: Array, products: Callable[..., Expr]
) -> Lowered:
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])

    def build(x: Tensor, w: Tensor, *scales: Tensor) -> Tensor:
        centered = _padded(x, op.padding, source.zero_point)
        acc = te.compute(out.shape, lambda *at: products(centered, w, *at), ACCUMULATOR)
        return _rescaled(acc, scales, out, op.activation)

    return Lowered(build, (weights, *_scales(graph, node, out.shape[-1])))


@write.register
def _(op: FullyConnected, graph: Graph, node: Node) -> Lowered:
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])
    weights = np.ascontiguousarray(_weights(graph, node).T)  # OI -> IO
    inputs, outputs = weights.shape

    def build(x: Tensor, w: Tensor, *scales: Tensor) -> Tensor:
        def sums(*at: Expr) -> Expr:
            i = te.reduce_axis((0, inputs), "i")
            value = _flat(x, source.shape, _index(at, out.shape) // outputs * inputs + i)
            return te.sum((i32(value) - i32(source.zero_point)) * i32(w[i, at[-1]]), axis=[i])

        return _rescaled(te.compute(out.shape, sums, ACCUMULATOR), scales, out, op.activation)

    return Lowered(build, (weights, *_scales(graph, node, outputs)))


@write.register
def _(op: Add, graph: Graph, node: Node) -> Lowered:
    types, out = graph.input_types(node), graph.type(node.outputs[0])
    first, second, total = op.multipliers(types, out)

    def build(a: Tensor, b: Tensor) -> Tensor:
        def element(*at: Expr) -> Expr:
            parts = [
                _by(i32(x[_broadcast(at, t.shape)]) - i32(t.zero_point) << i32(op.headroom), scale)
                for x, t, scale in ((a, types[0], first), (b, types[1], second))
            ]
            return codes(_by(parts[0] + parts[1], total), out.zero_point, op.activation.code_range(out))

        return te.compute(out.shape, element, "sum")

    return Lowered(build)


@write.register
def _(op: AveragePool2D, graph: Graph, node: Node) -> Lowered:
    """Rounded half away from zero on the codes, over the positions inside the map."""
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])
    inside = counts(map_size(source.shape), op.kernel, op.stride, op.padding).astype(np.int32)

    def build(x: Tensor, n: Tensor) -> Tensor:
        acc = te.compute(out.shape, lambda *at: te.sum(*_window(_padded(x, op.padding, 0), op, at)), ACCUMULATOR)

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
        largest = te.compute(out.shape, lambda *at: te.max(*_window(_padded(x, op.padding, 0, low), op, at)), "largest")
        return te.compute(out.shape, lambda *at: codes(largest[at], 0, op.activation.code_range(out)), "clipped")

    return Lowered(build)


def _window(x: Tensor, op: Pool2D, at: Sequence[Expr]) -> tuple[Expr, list[Any]]:
    """The element of a pool's window, and the axes that run over it."""
    n, y, column, c = at
    ky, kx = te.reduce_axis((0, op.kernel[0]), "ky"), te.reduce_axis((0, op.kernel[1]), "kx")
    return i32(x[n, y * op.stride[0] + ky, column * op.stride[1] + kx, c]), [ky, kx]


@write.register
def _(op: Mean, graph: Graph, node: Node) -> Lowered:
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])
    kept = [d for d in range(len(source.shape)) if d not in op.axes]
    scale = op.multiplier(source, out)

    def build(x: Tensor) -> Tensor:
        def total(*at: Expr) -> Expr:
            axes = {d: te.reduce_axis((0, source.shape[d]), f"d{d}") for d in op.axes}
            outer = dict(zip(kept, (at[d] for d in kept) if op.keep_dims else at, strict=True))
            value = x[tuple({**axes, **outer}[d] for d in range(len(source.shape)))]
            return te.sum(i32(value) - i32(source.zero_point), axis=list(axes.values()))

        acc = te.compute(out.shape, total, ACCUMULATOR)
        return te.compute(
            out.shape, lambda *at: codes(_by(acc[at], scale), out.zero_point, out.dtype.limits), "mean"
        )

    return Lowered(build)


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
        lambda x: te.compute(out.shape, lambda *at: _flat(x, source.shape, _index(at, out.shape)), "reshaped")
    )


@write.register
def _(op: Unary, graph: Graph, node: Node) -> Lowered:
    """A table of 256 codes."""
    out = graph.type(node.outputs[0])
    table = op.table(graph.type(node.inputs[0]), out)
    return Lowered(lambda x, t: te.compute(out.shape, lambda *at: t[i32(x[at]) + i32(128)], "looked_up"), (table,))


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
    return te.compute(rows, lambda *row: i32(_saturated(i64(x[row]) << i64(1))), "reciprocal")


def _newton_step(rows: Shape, half: Tensor, x: Tensor) -> Tensor:
    def step(*row: Expr) -> Expr:
        error = i32(1 << 29) - high_mul(half[row], x[row])
        return i32(_saturated(i64(x[row]) + _saturated(i64(high_mul(x[row], error)) << i64(2))))

    return te.compute(rows, step, "better")


def _saturated(value: Expr) -> Expr:
    """An int64 limited to int32."""
    return tirx.max(tirx.min(value, i64(INT32_MAX)), i64(INT32_MIN))


def _rescaled(acc: Tensor, scales: Sequence[Tensor], out: TensorType, activation: Activation) -> Tensor:
    """Accumulators (…, C) to codes, with bias, multiplier, left and right shift of each channel."""
    bias, multiplier, left, right = scales

    def element(*at: Expr) -> Expr:
        c = at[-1]
        scaled = requantize(acc[at] + bias[c], multiplier[c], left[c], right[c])
        return codes(scaled, out.zero_point, activation.code_range(out))

    return te.compute(out.shape, element, RESCALED)


def _by(value: Expr, scale: tuple[int, int]) -> Expr:
    """`value` requantized by one (multiplier, shift)."""
    multiplier, shift = scale
    return requantize(value, multiplier, max(shift, 0), max(-shift, 0))


def _padded(x: Tensor, padding: Sequence[int], zero_point: int, fill: int = 0) -> Tensor:
    """(N, H, W, C) codes less the zero point as int16, with `fill` around."""
    top, bottom, left, right = padding
    n, h, w, c = (int(v) for v in x.shape)

    def element(b: Expr, y: Expr, column: Expr, k: Expr) -> Expr:
        y, column = y - top, column - left
        value = x[b, y, column, k].astype("int16") - tirx.const(zero_point, "int16")
        inside = tirx.all(y >= 0, y < h, column >= 0, column < w)
        return tirx.if_then_else(inside, value, tirx.const(fill, "int16")) if any(padding) else value

    return te.compute((n, h + top + bottom, w + left + right, c), element, "padded")


def _broadcast(at: Sequence[Expr], shape: Shape) -> tuple[Expr, ...]:
    """The element of an operand of `shape` that goes to the output's element `at`."""
    return tuple(0 if n == 1 else i for i, n in zip(at[len(at) - len(shape) :], shape, strict=True))


def _index(at: Sequence[Expr], shape: Shape) -> Expr:
    """The flat index of an element."""
    flat: Expr = 0
    for i, n in zip(at, shape, strict=True):
        flat = flat * n + i
    return flat


def _flat(x: Tensor, shape: Shape, index: Expr) -> Expr:
    """The element of `x` at a flat index."""
    at: list[Expr] = []
    for n in reversed(shape):
        at.append(index % n)
        index = index // n
    return x[tuple(reversed(at))]
