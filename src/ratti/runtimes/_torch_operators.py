"""How each op is computed in torch: `compute(op, program, node)` holds one function an op, found by its class.

XNNPACK takes most of them as they stand; the rest run in ExecuTorch's portable kernels, between delegates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import UnsupportedError
from ..graph.ir import Node
from ..ops._binary import Binary
from ..ops._unary import Unary
from ..ops._window import counts, map_size
from ..ops.abs import Abs
from ..ops.add import Add
from ..ops.arg_max import ArgMax
from ..ops.average_pool2d import AveragePool2D
from ..ops.base import Op
from ..ops.batch_matmul import BatchMatmul
from ..ops.concat import Concat
from ..ops.conv2d import Conv2D
from ..ops.depth_to_space import DepthToSpace
from ..ops.depthwise_conv2d import DepthwiseConv2D
from ..ops.elu import Elu
from ..ops.fully_connected import FullyConnected
from ..ops.hard_swish import HardSwish
from ..ops.leaky_relu import LeakyRelu
from ..ops.logistic import Logistic
from ..ops.max_pool2d import MaxPool2D
from ..ops.maximum import Maximum
from ..ops.mean import Mean
from ..ops.minimum import Minimum
from ..ops.mul import Mul
from ..ops.pack import Pack
from ..ops.pad import Pad
from ..ops.prelu import Prelu
from ..ops.reduce_max import ReduceMax
from ..ops.relu import Relu
from ..ops.relu6 import Relu6
from ..ops.requantize import Requantize
from ..ops.reshape import Reshape
from ..ops.resize_bilinear import FRACTION_BITS, ResizeBilinear
from ..ops.resize_nearest import ResizeNearest
from ..ops.slice import Slice
from ..ops.softmax import Softmax
from ..ops.space_to_depth import SpaceToDepth
from ..ops.squared_difference import SquaredDifference
from ..ops.sub import Sub
from ..ops.sum import Sum
from ..ops.tanh import Tanh
from ..ops.transpose import Transpose
from ..ops.transpose_conv2d import TransposeConv2D
from ._torch_program import NCHW, Program

PAIRS: dict[type[Op], Callable[[Tensor, Tensor], Tensor]] = {
    Add: torch.add,
    Sub: torch.sub,
    Mul: torch.mul,
    Maximum: torch.maximum,
    Minimum: torch.minimum,
    SquaredDifference: lambda a, b: (a - b) ** 2,
    Prelu: lambda x, alpha: F.relu(x) - alpha * F.relu(-x),
}
ELEMENTWISE: dict[type[Op], Callable[[Tensor], Tensor]] = {
    Abs: torch.abs,
    Elu: F.elu,
    HardSwish: F.hardswish,
    Logistic: torch.sigmoid,
    Relu: F.relu,
    Relu6: F.relu6,
    Requantize: lambda x: x,
    Tanh: torch.tanh,
}


@singledispatch
def compute(op: Op, p: Program, node: Node) -> None:
    """Adds what `node` computes to the program. UnsupportedError for an op without a torch form."""
    raise UnsupportedError(f"{op.name} '{node.name}' has no torch form here")


def refusal(op: Op) -> str:
    """Why `op` has no torch form; empty where it has one."""
    if compute.dispatch(type(op)) is compute.dispatch(object):
        return f"no torch form for {op.name}"
    return ""


@compute.register
def _(op: Conv2D, p: Program, node: Node) -> None:
    _convolution(p, node, op, op.groups)


@compute.register
def _(op: DepthwiseConv2D, p: Program, node: Node) -> None:
    _convolution(p, node, op, p.value_type(node.inputs[0]).shape[3])


def _convolution(p: Program, node: Node, op: Conv2D | DepthwiseConv2D, groups: int) -> None:
    x = p.map(node.inputs[0])
    top, bottom, left, right = op.padding
    if _lopsided(op.padding):
        x, top, left = p.rounded(F.pad(x, (left, right, top, bottom)), node.inputs[0]), 0, 0
    weight, bias = p.weights(node)
    p.keep(node, F.conv2d(x, weight, bias, op.stride, (top, left), op.dilation, groups), True, op.activation)


@compute.register
def _(op: FullyConnected, p: Program, node: Node) -> None:
    weight, bias = p.weights(node)
    x, out = p.plain(node.inputs[0]), p.value_type(node.outputs[0])
    if not op.keep_dims and x.shape != (out.shape[0], weight.shape[1]):
        x = p.rounded(x.reshape(out.shape[0], weight.shape[1]), node.inputs[0])
    p.keep(node, F.linear(x, weight, bias), False, op.activation)


@compute.register
def _(op: Binary, p: Program, node: Node) -> None:
    maps = _all_maps(p, node)
    a, b = (p.map(n) if maps else p.plain(n) for n in node.inputs)
    p.keep(node, PAIRS[type(op)](a, b), maps, op.fused)


def _all_maps(p: Program, node: Node) -> bool:
    """Whether the node's inputs are maps, and some of them NCHW already."""
    return any(p.is_map(n) for n in node.inputs) and all(len(p.value_type(n).shape) == 4 for n in node.inputs)


@compute.register
def _(op: AveragePool2D, p: Program, node: Node) -> None:
    """torch pads both sides alike; where they differ, zeros are averaged too, and the mean is scaled up."""
    source = node.inputs[0]
    x, (top, bottom, left, right) = p.map(source), op.padding
    if not _lopsided(op.padding):
        p.keep(node, F.avg_pool2d(x, op.kernel, op.stride, (top, left), count_include_pad=False), True, op.activation)
        return
    inside = counts(map_size(p.value_type(source).shape), op.kernel, op.stride, op.padding)
    share = (np.prod(op.kernel) / inside).astype(np.float32)[None].transpose(NCHW)
    whole = torch.from_numpy(np.broadcast_to(share, (1, p.value_type(source).shape[3], *share.shape[2:])).copy("C"))
    x = p.rounded(F.pad(x, (left, right, top, bottom)), source)
    p.keep(node, F.avg_pool2d(x, op.kernel, op.stride) * whole, True, op.activation)


@compute.register
def _(op: MaxPool2D, p: Program, node: Node) -> None:
    source = node.inputs[0]
    x, (top, bottom, left, right) = p.map(source), op.padding
    if _lopsided(op.padding):
        quant = p.value_type(source).quant
        lowest = quant.scale[0] * (-128 - quant.zero_point[0]) if quant else -float("inf")
        x, top, left = p.rounded(F.pad(x, (left, right, top, bottom), value=lowest), source), 0, 0
    p.keep(node, F.max_pool2d(x, op.kernel, op.stride, (top, left)), True, op.activation)


def _lopsided(padding: Sequence[int]) -> bool:
    top, bottom, left, right = padding
    return (top, left) != (bottom, right)


@compute.register
def _(op: Mean, p: Program, node: Node) -> None:
    if len(p.value_type(node.inputs[0]).shape) == 4 and op.axes == (1, 2):
        mean = p.map(node.inputs[0]).mean((2, 3), keepdim=True)
        if op.keep_dims:
            p.keep(node, mean, True)
        else:
            name = node.outputs[0]
            p.keep(node, p.rounded(mean, name).reshape(p.value_type(name).shape))
        return
    p.keep(node, p.plain(node.inputs[0]).mean(op.axes, keepdim=op.keep_dims))


@compute.register
def _(op: Pad, p: Program, node: Node) -> None:
    p.keep(node, F.pad(p.plain(node.inputs[0]), [n for pair in reversed(op.padding) for n in pair]))


@compute.register
def _(op: Reshape, p: Program, node: Node) -> None:
    p.keep(node, p.plain(node.inputs[0]).reshape(op.shape))


@compute.register
def _(op: Softmax, p: Program, node: Node) -> None:
    p.keep(node, F.softmax(p.plain(node.inputs[0]) * op.beta, -1))


@compute.register
def _(op: Unary, p: Program, node: Node) -> None:
    _elementwise(p, node, ELEMENTWISE[type(op)])


@compute.register
def _(op: LeakyRelu, p: Program, node: Node) -> None:
    _elementwise(p, node, lambda x: F.leaky_relu(x, op.alpha))


def _elementwise(p: Program, node: Node, function: Callable[[Tensor], Tensor]) -> None:
    (source,), maps = node.inputs, p.is_map(node.inputs[0])
    p.keep(node, function(p.map(source) if maps else p.plain(source)), maps)


@compute.register
def _(op: Concat, p: Program, node: Node) -> None:
    maps = _all_maps(p, node)
    parts = [p.map(n) if maps else p.plain(n) for n in node.inputs]
    p.keep(node, torch.cat(parts, NCHW.index(op.axis) if maps else op.axis), maps)


@compute.register
def _(op: Pack, p: Program, node: Node) -> None:
    p.keep(node, torch.cat([p.plain(n).unsqueeze(op.axis) for n in node.inputs], op.axis))


@compute.register
def _(op: Slice, p: Program, node: Node) -> None:
    """One dimension at a time, each with codes of its own, as XNNPACK wants slices."""
    (source,), maps = node.inputs, _all_maps(p, node) and not op.dropped
    x = p.map(source) if maps else p.plain(source)
    for d, (n, begin, count, stride) in enumerate(
        zip(p.value_type(source).shape, op.begin, op.count, op.stride, strict=True)
    ):
        if count < n or stride != 1:
            x = p.rounded(_part(x, NCHW.index(d) if maps else d, begin, count, stride), source)
    p.keep(node, x.reshape(p.value_type(node.outputs[0]).shape) if op.dropped else x, maps)


def _part(x: Tensor, dimension: int, begin: int, count: int, stride: int) -> Tensor:
    if stride == 1:
        return x.narrow(dimension, begin, count)
    return x.index_select(dimension, torch.from_numpy(begin + stride * np.arange(count)))


@compute.register
def _(op: Transpose, p: Program, node: Node) -> None:
    p.keep(node, p.plain(node.inputs[0]).permute(op.permutation))


@compute.register
def _(op: DepthToSpace, p: Program, node: Node) -> None:
    b, (n, h, w, c) = op.block, p.value_type(node.inputs[0]).shape
    _blocks(p, node, (n, h, w, b, b, c // (b * b)))


@compute.register
def _(op: SpaceToDepth, p: Program, node: Node) -> None:
    b, (n, h, w, c) = op.block, p.value_type(node.inputs[0]).shape
    _blocks(p, node, (n, h // b, b, w // b, b, c))


def _blocks(p: Program, node: Node, split: tuple[int, ...]) -> None:
    """Rows of a block beside the rows of the map, in either direction."""
    (source,), shape = node.inputs, p.value_type(node.outputs[0]).shape
    x = p.rounded(p.plain(source).reshape(split), source)
    p.keep(node, p.rounded(x.permute(0, 1, 3, 2, 4, 5), source).reshape(shape))


@compute.register
def _(op: ResizeNearest, p: Program, node: Node) -> None:
    x, (_, h, w, _) = p.plain(node.inputs[0]), p.value_type(node.inputs[0]).shape
    for axis, size in ((0, h), (1, w)):
        x = x.index_select(axis + 1, torch.from_numpy(op.positions(axis, size)))
    p.keep(node, x)


@compute.register
def _(op: ResizeBilinear, p: Program, node: Node) -> None:
    x, (_, h, w, _) = p.plain(node.inputs[0]), p.value_type(node.inputs[0]).shape
    for axis, size in ((0, h), (1, w)):
        first, second, weight = op.positions(axis, size)
        share = torch.from_numpy((weight / (1 << FRACTION_BITS)).astype(np.float32)).reshape(-1, *[1] * (2 - axis))
        a, b = (x.index_select(axis + 1, torch.from_numpy(k)) for k in (first, second))
        x = a * (1 - share) + b * share
    p.keep(node, x)


@compute.register
def _(op: Sum, p: Program, node: Node) -> None:
    p.keep(node, p.plain(node.inputs[0]).sum(op.axes, keepdim=op.keep_dims))


@compute.register
def _(op: ReduceMax, p: Program, node: Node) -> None:
    p.keep(node, p.plain(node.inputs[0]).amax(op.axes, keepdim=op.keep_dims))


@compute.register
def _(op: ArgMax, p: Program, node: Node) -> None:
    """The largest code has the place of the largest value."""
    p.keep(node, p.codes(node.inputs[0]).argmax(op.axis).to(torch.int32))


@compute.register
def _(op: BatchMatmul, p: Program, node: Node) -> None:
    a, b = (p.plain(n) for n in node.inputs)
    a, b = a.transpose(-1, -2) if op.transposed else a, b.transpose(-1, -2) if op.transposed_other else b
    p.keep(node, torch.matmul(a, b))


@compute.register
def _(op: TransposeConv2D, p: Program, node: Node) -> None:
    """All of what the windows cover, cut to the output's size."""
    x, name = p.map(node.inputs[0]), node.outputs[0]
    weight, bias = p.weights(node)
    missing = tuple(max(0, n) for n in _uncovered(op, x.shape[2:], weight.shape[2:]))
    x = F.conv_transpose2d(x, weight, bias, op.stride, 0, missing)
    for d, (begin, count) in enumerate(zip(op.padding, op.size, strict=True), 2):
        if x.shape[d] != count:
            x = p.rounded(x, name).narrow(d, begin, count)
    p.keep(node, x, True, op.activation)


def _uncovered(op: TransposeConv2D, sizes: Sequence[int], kernel: Sequence[int]) -> list[int]:
    """Rows and columns of the output beyond the last window."""
    rows = zip(op.padding, op.size, op.stride, sizes, kernel, strict=True)
    return [before + out - ((n - 1) * stride + k) for before, out, stride, n, k in rows]
