"""Ops that multiply by weights, or two matrices: sums of products, and their codes.

Convolution weights are HWIO, so that the innermost loop runs over channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from tvm import te, tirx

from ...graph.ir import Graph, Node
from ...ops._accumulate import channel_multipliers
from ...ops.base import Activation
from ...ops.batch_matmul import BatchMatmul
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.transpose_conv2d import TransposeConv2D
from ...types import Array, TensorType
from .integers import Expr, Tensor, at_flat, broadcast, by, codes, flat_index, i32, padded, requantize, shifts
from .lowering import ACCUMULATOR, RESCALED, Lowered, write


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
        centered = padded(x, op.padding, source.zero_point)
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
            value = at_flat(x, source.shape, flat_index(at, out.shape) // outputs * inputs + i)
            return te.sum((i32(value) - i32(source.zero_point)) * i32(w[i, at[-1]]), axis=[i])

        return _rescaled(te.compute(out.shape, sums, ACCUMULATOR), scales, out, op.activation)

    return Lowered(build, (weights, *_scales(graph, node, outputs)))


def _rescaled(acc: Tensor, scales: Sequence[Tensor], out: TensorType, activation: Activation) -> Tensor:
    """Accumulators (…, C) to codes, with bias, multiplier, left and right shift of each channel."""
    bias, multiplier, left, right = scales

    def element(*at: Expr) -> Expr:
        c = at[-1]
        scaled = requantize(acc[at] + bias[c], multiplier[c], left[c], right[c])
        return codes(scaled, out.zero_point, activation.code_range(out))

    return te.compute(out.shape, element, RESCALED)


@write.register
def _(op: TransposeConv2D, graph: Graph, node: Node) -> Lowered:
    """Each output gathers the inputs whose windows reach it: those at whole strides, inside the map."""
    source, out = graph.type(node.inputs[0]), graph.type(node.outputs[0])
    weights = np.ascontiguousarray(_weights(graph, node).transpose(1, 2, 3, 0))  # OHWI -> HWIO
    kh, kw, inputs, outputs = weights.shape
    _, h, w_in, _ = source.shape

    def build(x: Tensor, w: Tensor, *scales: Tensor) -> Tensor:
        def sums(n: Expr, y: Expr, column: Expr, o: Expr) -> Expr:
            ky, kx, i = (te.reduce_axis((0, k), name) for k, name in ((kh, "ky"), (kw, "kx"), (inputs, "i")))
            row, place = y + op.padding[0] - ky, column + op.padding[1] - kx
            a, b = row // op.stride[0], place // op.stride[1]
            inside = tirx.all(row % op.stride[0] == 0, place % op.stride[1] == 0, a >= 0, a < h, b >= 0, b < w_in)
            value = tirx.if_then_else(inside, i32(x[n, a, b, i]) - i32(source.zero_point), i32(0))
            return te.sum(value * i32(w[ky, kx, i, o]), axis=[ky, kx, i])

        return _rescaled(te.compute(out.shape, sums, ACCUMULATOR), scales, out, op.activation)

    return Lowered(build, (weights, *_scales(graph, node, outputs)))


@write.register
def _(op: BatchMatmul, graph: Graph, node: Node) -> Lowered:
    (first, second), out = graph.input_types(node), graph.type(node.outputs[0])
    scale, depth = op.multiplier((first, second), out), op.depth(first.shape)

    def build(a: Tensor, b: Tensor) -> Tensor:
        def sums(*at: Expr) -> Expr:
            *front, m, n = at
            k = te.reduce_axis((0, depth), "k")
            left = a[broadcast((*front, *((k, m) if op.transposed else (m, k))), first.shape)]
            right = b[broadcast((*front, *((n, k) if op.transposed_other else (k, n))), second.shape)]
            return te.sum((i32(left) - i32(first.zero_point)) * (i32(right) - i32(second.zero_point)), axis=[k])

        acc = te.compute(out.shape, sums, ACCUMULATOR)
        return te.compute(
            out.shape, lambda *at: codes(by(acc[at], scale), out.zero_point, out.dtype.limits), RESCALED
        )

    return Lowered(build)
