"""Convolutions, matrices and batch normalization: ops with weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...errors import UnsupportedError
from ...ops._accumulate import LinearOp
from ...ops._window import Padding, Pair, same_padding
from ...ops.add import Add
from ...ops.batch_matmul import BatchMatmul
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.mul import Mul
from ...ops.pad import Pad
from ...ops.transpose_conv2d import TransposeConv2D
from ...types import Array
from .constants import Constant, real
from .importer import Handler, Importer, label
from .program import Node
from .weights import bias, weights


def conv(importer: Importer, node: Node) -> None:
    x = importer.map(node, 0)
    held = importer.constant(node, 1, "weights")
    one_row = held.data.ndim == 3
    if one_row:
        held = _with_row(held)
    rank = len(importer.shape(importer.activation(node, 0)))
    if held.data.ndim != 4 or rank != held.data.ndim - one_row:
        raise UnsupportedError(f"{node.place}: weights of shape {held.data.shape} on an input of {rank} dimensions")
    outputs, per_group, *kernel = held.data.shape
    channels, groups = importer.shape(x)[3], int(node.attributes.get("group", 1))
    stride, dilation = (windowed(importer, node, n, one_row) for n in ("strides", "dilations"))
    pads = padding(importer, node, x, (kernel[0], kernel[1]), stride, dilation, one_row)
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if max(pads[:2]) > reach[0] or max(pads[2:]) > reach[1]:  # more than the op can hold
        op = Pad(((0, 0), (pads[0], pads[1]), (pads[2], pads[3]), (0, 0)))
        x, pads = importer.add(node, op, [x], importer.builder.type(x).quant), (0, 0, 0, 0)
    if groups == channels > 1 and per_group == 1:
        weight, scales = weights(importer, node, held, (1, 2, 3, 0), 0, x)  # (O, 1, KH, KW) to 1HWO
        linear: LinearOp = DepthwiseConv2D(stride, pads, dilation, outputs // channels)
    else:
        weight, scales = weights(importer, node, held, (0, 2, 3, 1), 0, x)  # OIHW to OHWI
        linear = Conv2D(stride, pads, dilation, groups)
    biases = bias(importer, node, 2, scales, outputs, x)
    importer.emit(node, linear, [x, weight, *biases], importer.unmap(rank))


def _with_row(held: Constant) -> Constant:
    """Weights (O, I, K) as (O, I, 1, K)."""
    axis = held.axis % 3
    return replace(held, data=held.data[:, :, None], axis=3 if axis == 2 else axis)


def gemm(importer: Importer, node: Node) -> None:
    alpha, beta = (float(node.attributes.get(n, 1.0)) for n in ("alpha", "beta"))
    if node.attributes.get("transA", 0) or alpha != 1 or (beta != 1 and importer.has(node, 2)):
        raise UnsupportedError(f"{node.place}: only a plain product is supported (transA 0, alpha 1, beta 1)")
    _matrix(importer, node, bool(node.attributes.get("transB", 0)))


def matmul(importer: Importer, node: Node) -> None:
    if importer.is_constant(node, 1) and importer.constant(node, 1, "weights").data.ndim == 2:
        _matrix(importer, node, False)
    else:
        importer.emit(node, BatchMatmul(), [importer.activation(node, k) for k in range(2)])


def conv_transpose(importer: Importer, node: Node) -> None:
    x = importer.map(node, 0)
    held = importer.constant(node, 1, "weights")
    rank = len(importer.shape(importer.activation(node, 0)))
    if held.data.ndim != 4 or rank != 4 or node.attributes.get("group", 1) != 1:
        raise UnsupportedError(f"{node.place}: weights of shape {held.data.shape}; two dimensions and one group only")
    kernel, outputs = held.data.shape[2:], held.data.shape[1]
    stride, dilation = (windowed(importer, node, n, False) for n in ("strides", "dilations"))
    extra = importer.ints(node, "output_padding", None, (0, 0))
    pads = importer.ints(node, "pads", None, (0, 0, 0, 0))
    sized = "output_shape" in node.attributes or node.attributes.get("auto_pad", b"NOTSET") != b"NOTSET"
    if dilation != (1, 1) or sized or len(pads) != 4 or len(extra) != 2:
        raise UnsupportedError(f"{node.place}: only explicit padding, without dilation and output_shape, is supported")
    sides = importer.shape(x)[1:3]
    size = [
        (n - 1) * s - pads[k] - pads[k + 2] + kernel[k] + extra[k]
        for k, (n, s) in enumerate(zip(sides, stride, strict=True))
    ]
    weight, scales = weights(importer, node, held, (1, 2, 3, 0), 1, x)  # IOHW to OHWI
    op = TransposeConv2D((size[0], size[1]), stride, (pads[0], pads[1]))
    importer.emit(node, op, [x, weight, *bias(importer, node, 2, scales, outputs, x)], importer.unmap(4))


def _matrix(importer: Importer, node: Node, outputs_first: bool) -> None:
    x = importer.activation(node, 0)
    held = importer.constant(node, 1, "weights")
    rank = len(importer.shape(x))
    if held.data.ndim != 2 or rank < 2:
        raise UnsupportedError(f"{node.place}: weights of shape {held.data.shape} on an input {importer.shape(x)}; "
                               f"a matrix on at least two dimensions is supported")
    axes = (0, 1) if outputs_first else (1, 0)
    weight, scales = weights(importer, node, held, axes, 0 if outputs_first else 1, x)
    outputs = held.data.shape[0 if outputs_first else 1]
    biases = bias(importer, node, 2, scales, outputs, x)  # a MatMul has none
    importer.emit(node, FullyConnected(keep_dims=rank > 2), [x, weight, *biases])


def batch_normalization(importer: Importer, node: Node) -> None:
    """A factor and an offset for each channel; passes fold it into the convolution before it."""
    x = importer.activation(node, 0)
    if importer.is_quantized(x) or node.attributes.get("training_mode", 0):
        raise UnsupportedError(f"{node.place} in a quantized or a training model; fold it first")
    names = ("scale", "offset", "mean", "variance")
    numbers = [real(node, importer.constant(node, k, n)) for k, n in enumerate(names, 1)]
    gamma, beta, mean, variance = (v.astype(np.float64) for v in numbers)
    factor = gamma / np.sqrt(variance + float(node.attributes.get("epsilon", 1e-5)))
    per_channel(importer, node, factor, beta - mean * factor)


def per_channel(importer: Importer, node: Node, factor: Array, offset: Array) -> None:
    """(N, C, …) -> factor * x + offset, one of each for a channel, in float."""
    x = importer.activation(node, 0)
    shape = importer.shape(x)
    if len(shape) not in (2, 3, 4):
        raise UnsupportedError(f"{node.place}: an input of shape {shape}; 2 to 4 dimensions are supported")
    if factor.shape != (shape[1],) or offset.shape != factor.shape:
        raise UnsupportedError(f"{node.place}: {factor.size} factors for {shape[1]} channels")
    rows = len(shape) == 2
    spread = factor.astype(np.float32) if rows else factor.astype(np.float32).reshape(1, 1, 1, -1)
    weight = importer.builder.constant(f"{label(node)}_factor", spread)
    shift = importer.builder.constant(f"{label(node)}_offset", offset.astype(np.float32))
    if rows:
        importer.emit(node, Add(), [importer.builder.float(Mul(), [x, weight]), shift])
    else:
        importer.emit(node, DepthwiseConv2D(), [importer.map(node, 0), weight, shift], importer.unmap(len(shape)))


def windowed(importer: Importer, node: Node, name: str, one_row: bool) -> Pair:
    """A pair of steps (height, width), 1 by default."""
    values = importer.ints(node, name, None, (1,) if one_row else (1, 1))
    if len(values) != 2 - one_row:
        raise UnsupportedError(f"{node.place}: {len(values)} {name}; {2 - one_row} expected")
    return (1, values[0]) if one_row else (values[0], values[1])


def padding(
    importer: Importer, node: Node, x: str, kernel: Pair, stride: Pair, dilation: Pair, one_row: bool
) -> Padding:
    """Explicit padding of a window that slides over the map `x`."""
    auto = node.attributes.get("auto_pad", b"NOTSET")
    size = importer.shape(x)[1:3]
    if auto in (b"SAME_UPPER", b"SAME_LOWER"):
        top, bottom, left, right = same_padding((size[0], size[1]), kernel, stride, dilation)
        return (top, bottom, left, right) if auto == b"SAME_UPPER" else (bottom, top, right, left)
    pads = importer.ints(node, "pads", None, (0,) * (2 if one_row else 4)) if auto == b"NOTSET" else (0, 0, 0, 0)
    if one_row and len(pads) == 2:
        pads = (0, pads[0], 0, pads[1])
    if len(pads) != 4 or min(pads) < 0 or auto not in (b"NOTSET", b"VALID"):
        raise UnsupportedError(f"{node.place}: padding {pads}; height and width may be padded by 0 or more")
    return pads[0], pads[2], pads[1], pads[3]  # ONNX: top, left, bottom, right


HANDLERS: dict[str, Handler] = {
    "Conv": conv,
    "Gemm": gemm,
    "MatMul": matmul,
    "ConvTranspose": conv_transpose,
    "BatchNormalization": batch_normalization,
}
