"""What each op of a float graph is in torch: one function an op, found by its type.

`compute(op, axes, node, operands)` gives what the node gives, in the order of axes in which values are kept (`Axes`).
Convolutions and fully connected layers are not here: they are torch's own layers (`module`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import UnsupportedError
from ...graph.ir import Graph, Node
from ...ops.abs import Abs
from ...ops.add import Add
from ...ops.average_pool2d import AveragePool2D
from ...ops.base import Activation, Op
from ...ops.batch_matmul import BatchMatmul
from ...ops.concat import Concat
from ...ops.depth_to_space import DepthToSpace
from ...ops.elu import Elu
from ...ops.hard_swish import HardSwish
from ...ops.leaky_relu import LeakyRelu
from ...ops.logistic import Logistic
from ...ops.max_pool2d import MaxPool2D
from ...ops.maximum import Maximum
from ...ops.mean import Mean
from ...ops.minimum import Minimum
from ...ops.mul import Mul
from ...ops.pack import Pack
from ...ops.pad import Pad
from ...ops.prelu import Prelu
from ...ops.reduce_max import ReduceMax
from ...ops.relu import Relu
from ...ops.relu6 import Relu6
from ...ops.requantize import Requantize
from ...ops.reshape import Reshape
from ...ops.resize_bilinear import ResizeBilinear
from ...ops.resize_nearest import ResizeNearest
from ...ops.slice import Slice
from ...ops.softmax import Softmax
from ...ops.space_to_depth import SpaceToDepth
from ...ops.split import Split
from ...ops.squared_difference import SquaredDifference
from ...ops.sub import Sub
from ...ops.sum import Sum
from ...ops.tanh import Tanh
from ...ops.transpose import Transpose
from ...ops.transpose_conv2d import TransposeConv2D
from ...ops.unpack import Unpack
from ...types import Shape

NCHW = (0, 3, 1, 2)
GROUPED = (0, 3, 4, 1, 2)  # (N, H, W, G, K) to (N, G, K, H, W)


class Axes:
    """In which order the values of a graph are kept: maps as (N, C, H, W), the halves of a channel shuffle, which is
    (N, H, W, G, K) in the graph, as (N, G, K, H, W), everything else as the graph has it.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.grouped = frozenset(_shuffled(graph))

    def rank(self, name: str) -> int:
        return len(self.graph.type(name).shape)

    def order(self, name: str) -> tuple[int, ...]:
        """The stored axis at each axis of the torch tensor."""
        if name in self.grouped:
            return GROUPED
        return NCHW if self.rank(name) == 4 else tuple(range(self.rank(name)))

    def stored(self, x: Tensor, name: str) -> Tensor:
        """A value as the graph has it."""
        order = self.order(name)
        return x if order == tuple(range(x.ndim)) else x.permute(tuple(order.index(a) for a in range(x.ndim)))

    def arranged(self, x: Tensor, name: str) -> Tensor:
        """A value that was computed as the graph has it, in the order in which it is kept."""
        order = self.order(name)
        return x if order == tuple(range(x.ndim)) else x.permute(order)

    def axes(self, name: str, axes: Sequence[int]) -> tuple[int, ...]:
        """Torch's axes for stored ones."""
        return tuple(self.order(name).index(a % self.rank(name)) for a in axes)


def _shuffled(graph: Graph) -> list[str]:
    """Values of five dimensions between two maps: the halves of a channel shuffle."""
    found = []
    for node in graph.nodes:
        if isinstance(node.op, Reshape):
            before, after = graph.type(node.inputs[0]).shape, node.op.shape
            if len(before) == 4 and len(after) == 5 and before[:3] == after[:3]:
                found.append(node.outputs[0])
        elif isinstance(node.op, Transpose) and node.inputs[0] in found and node.op.permutation == (0, 1, 2, 4, 3):
            found.append(node.outputs[0])
    return found


def activated(x: Tensor, activation: Activation) -> Tensor:
    low, high = activation.real_range
    if math.isfinite(high):
        return F.relu6(x) if (low, high) == (0, 6) else F.hardtanh(x, low, high)
    return F.relu(x) if math.isfinite(low) else x


def has_torch_form(op: Op) -> bool:
    """Whether `compute` knows the op."""
    return compute.dispatch(type(op)) is not compute.dispatch(object)


def rows_of(m: Axes, x: Tensor, name: str, columns: int) -> Tensor:
    """(…) as rows of so many columns."""
    shape = m.graph.type(name).shape
    if len(shape) == 4 and shape[1:3] == (1, 1) and shape[3] == columns:
        return x.flatten(1)
    x = m.stored(x, name)
    return x.flatten(1) if math.prod(shape[1:]) == columns else x.reshape(-1, columns)


@singledispatch
def compute(op: Op, m: Axes, node: Node, xs: list[Tensor]) -> Tensor | Sequence[Tensor]:
    """What `node` gives for its operands, in the order of axes in which values are kept."""
    raise UnsupportedError(f"{op.name} '{node.name}' has no torch form")


@compute.register
def _(op: TransposeConv2D, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    weight = xs[1].permute(1, 0, 2, 3)  # kept as (O, C, KH, KW), torch takes (C, O, KH, KW)
    y = F.conv_transpose2d(xs[0], weight, None, op.stride)
    (top, left), (rows, columns) = op.padding, op.size
    y = F.pad(y, (0, max(0, left + columns - y.shape[3]), 0, max(0, top + rows - y.shape[2])))
    y = y[:, :, top : top + rows, left : left + columns]
    return activated(y + xs[2].reshape(-1, 1, 1) if len(xs) > 2 else y, op.activation)


@compute.register
def _(op: AveragePool2D, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    top, bottom, left, right = op.padding
    if (top, left) == (bottom, right):
        return activated(F.avg_pool2d(xs[0], op.kernel, op.stride, (top, left), count_include_pad=False), op.activation)
    pads, inside = (left, right, top, bottom), torch.ones_like(xs[0][:1, :1])
    sums, counts = (F.avg_pool2d(F.pad(x, pads), op.kernel, op.stride) for x in (xs[0], inside))
    return activated(sums / counts, op.activation)


@compute.register
def _(op: MaxPool2D, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    top, bottom, left, right = op.padding
    if (top, left) == (bottom, right) and 2 * top <= op.kernel[0] and 2 * left <= op.kernel[1]:
        return activated(F.max_pool2d(xs[0], op.kernel, op.stride, (top, left)), op.activation)
    x = F.pad(xs[0], (left, right, top, bottom), value=-math.inf)
    return activated(F.max_pool2d(x, op.kernel, op.stride), op.activation)


def _pair(m: Axes, node: Node, xs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Two operands whose axes meet: those of fewer dimensions get leading ones, in the order of the output."""
    out = node.outputs[0]
    rank = m.rank(out)
    met = []
    for x, name in zip(xs, node.inputs, strict=True):
        if m.rank(name) == rank:
            met.append(x)
            continue
        plain = m.stored(x, name)
        met.append(m.arranged(plain.reshape((1,) * (rank - plain.ndim) + tuple(plain.shape)), out))
    return met[0], met[1]


@compute.register
def _(op: Add, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    a, b = _pair(m, node, xs)
    return activated(a + b, op.activation)


@compute.register
def _(op: Sub, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    a, b = _pair(m, node, xs)
    return activated(a - b, op.activation)


@compute.register
def _(op: Mul, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    a, b = _pair(m, node, xs)
    return activated(a * b, op.activation)


@compute.register
def _(op: Maximum, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    return torch.maximum(*_pair(m, node, xs))


@compute.register
def _(op: Minimum, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    return torch.minimum(*_pair(m, node, xs))


@compute.register
def _(op: SquaredDifference, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    a, b = _pair(m, node, xs)
    return (a - b) * (a - b)


@compute.register
def _(op: Prelu, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    x, slope = _pair(m, node, xs)
    if slope.numel() == 1 or (slope.numel() == slope.shape[1] == x.shape[1]):
        return F.prelu(x, slope.flatten())
    return torch.where(x >= 0, x, x * slope)


@compute.register
def _(op: BatchMatmul, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    a, b = (m.stored(x, n) for x, n in zip(xs, node.inputs, strict=True))
    product = (a.mT if op.transposed else a) @ (b.mT if op.transposed_other else b)
    return m.arranged(product, node.outputs[0])


@compute.register
def _(op: Softmax, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    (axis,) = m.axes(node.inputs[0], (-1,))
    return F.softmax(xs[0] if op.beta == 1 else xs[0] * op.beta, axis)


@compute.register
def _(op: Mean, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    return _reduced(m, node, xs[0].mean(m.axes(node.inputs[0], op.axes), keepdim=op.keep_dims), op.keep_dims, op.axes)


@compute.register
def _(op: Sum, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    return _reduced(m, node, xs[0].sum(m.axes(node.inputs[0], op.axes), keepdim=op.keep_dims), op.keep_dims, op.axes)


@compute.register
def _(op: ReduceMax, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    return _reduced(m, node, xs[0].amax(m.axes(node.inputs[0], op.axes), keepdim=op.keep_dims), op.keep_dims, op.axes)


def _reduced(m: Axes, node: Node, y: Tensor, keep_dims: bool, axes: Sequence[int]) -> Tensor:
    """A reduction over torch's axes, with what is left of them in the order of the output."""
    if keep_dims:
        return y
    left = [a for a in m.order(node.inputs[0]) if a not in axes]  # stored axes, in the order of y
    plain = [left.index(a) for a in sorted(left)]
    y = y if plain == list(range(y.ndim)) else y.permute(plain)
    return m.arranged(y, node.outputs[0])


@compute.register
def _(op: Pad, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    pairs = [op.padding[a] for a in m.order(node.inputs[0])]
    while len(pairs) > 1 and pairs[0] == (0, 0):
        pairs.pop(0)
    return F.pad(xs[0], [n for pair in reversed(pairs) for n in pair])


@compute.register
def _(op: Concat, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    return torch.cat(xs, m.axes(node.outputs[0], (op.axis,))[0])


@compute.register
def _(op: Split, m: Axes, node: Node, xs: list[Tensor]) -> Sequence[Tensor]:
    (axis,) = m.axes(node.inputs[0], (op.axis,))
    ends = np.cumsum(op.sizes).tolist()
    return [_part(xs[0], axis, end - size, size) for end, size in zip(ends, op.sizes, strict=True)]


def _part(x: Tensor, axis: int, begin: int, count: int) -> Tensor:
    return x[(slice(None),) * axis + (slice(begin, begin + count),)]


@compute.register
def _(op: Slice, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    x, name = xs[0], node.inputs[0]
    shape = m.graph.type(name).shape
    for d in range(len(shape)):
        begin, count, stride = op.begin[d], op.count[d], op.stride[d]
        if d == 0 and (begin, count, stride) == (0, shape[0], 1):
            continue  # all samples, however many there are
        if (begin, count, stride) != (0, shape[d], 1):
            (axis,) = m.axes(name, (d,))
            x = _part(x, axis, begin, count) if stride == 1 else x.index_select(
                axis, torch.arange(count) * stride + begin)
    if not op.dropped:
        return x
    plain = m.stored(x, name)
    return m.arranged(plain.squeeze(op.dropped), node.outputs[0])


@compute.register
def _(op: Reshape, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    (source,), (out,) = node.inputs[:1], node.outputs
    x, before, after = xs[0], m.graph.type(node.inputs[0]).shape, op.shape
    if out in m.grouped:
        return x.reshape(x.shape[0], *after[3:], *before[1:3])
    if source in m.grouped and len(after) == 4 and after[:3] == before[:3]:
        return x.reshape(x.shape[0], after[3], *after[1:3])
    if len(after) == 2 and after[0] == before[0]:
        return rows_of(m, x, source, after[1])
    plain = m.stored(x, source)
    shape: Shape = (-1, *after[1:]) if after else ()
    return m.arranged(plain.reshape(shape), out)


@compute.register
def _(op: Transpose, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    if node.outputs[0] in m.grouped:
        return xs[0].transpose(1, 2)
    return m.arranged(m.stored(xs[0], node.inputs[0]).permute(op.permutation), node.outputs[0])


@compute.register
def _(op: Pack, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    return m.arranged(torch.stack([m.stored(x, n) for x, n in zip(xs, node.inputs, strict=True)], op.axis),
                      node.outputs[0])


@compute.register
def _(op: Unpack, m: Axes, node: Node, xs: list[Tensor]) -> Sequence[Tensor]:
    parts = m.stored(xs[0], node.inputs[0]).unbind(op.axis)
    return [m.arranged(part, name) for part, name in zip(parts, node.outputs, strict=True)]


@compute.register
def _(op: SpaceToDepth, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    n, c, h, w = xs[0].shape
    b = op.block
    blocks = xs[0].reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(n, b * b * c, h // b, w // b)


@compute.register
def _(op: DepthToSpace, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    n, c, h, w = xs[0].shape
    b = op.block
    return xs[0].reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


@compute.register
def _(op: ResizeNearest, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    plain = ResizeNearest(op.size)
    if all(np.array_equal(op.positions(a, n), plain.positions(a, n)) for a, n in enumerate(xs[0].shape[2:])):
        return F.interpolate(xs[0], op.size)
    rows, columns = (torch.from_numpy(op.positions(a, xs[0].shape[2 + a])) for a in (0, 1))
    return xs[0].index_select(2, rows).index_select(3, columns)


@compute.register
def _(op: ResizeBilinear, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    x = xs[0]
    for axis in (0, 1):
        first, second, weight = (torch.from_numpy(a) for a in op.real_positions(axis, x.shape[2 + axis]))
        share = weight.to(x.dtype).reshape((-1, 1) if axis == 0 else (1, -1))
        x = x.index_select(2 + axis, first) * (1 - share) + x.index_select(2 + axis, second) * share
    return x


@compute.register
def _(op: Requantize, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    return xs[0]  # of real values nothing changes


for _op, _function in ((Abs, torch.abs), (Elu, F.elu), (HardSwish, F.hardswish), (Logistic, torch.sigmoid),
                       (Relu, F.relu), (Relu6, F.relu6), (Tanh, torch.tanh)):
    compute.register(_op, lambda op, m, node, xs, function=_function: function(xs[0]))


@compute.register
def _(op: LeakyRelu, m: Axes, node: Node, xs: list[Tensor]) -> Tensor:
    return F.leaky_relu(xs[0], op.alpha)
