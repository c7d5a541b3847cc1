"""How each op is written in ONNX: `write(op, writer, node)`, one function an op, found by the op's class."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from ...errors import UnsupportedError
from ...graph.ir import Node
from ...ops._unary import Unary
from ...ops.add import Add
from ...ops.average_pool2d import AveragePool2D
from ...ops.base import Activation, Op
from ...ops.concat import Concat
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.max_pool2d import MaxPool2D
from ...ops.mean import Mean
from ...ops.mul import Mul
from ...ops.pad import Pad
from ...ops.reshape import Reshape
from ...ops.slice import Slice
from ...ops.softmax import Softmax
from ...ops.sub import Sub
from ...ops.transpose import Transpose
from ...types import Array
from .writer import INT8, Writer, attributes_of_padding

# ONNX's kind of a float op of one tensor, and its limits.
FLOAT_UNARY: dict[str, tuple[str, tuple[float, ...]]] = {
    "relu": ("Relu", ()),
    "relu6": ("Clip", (0.0, 6.0)),
    "requantize": ("Identity", ()),
}

PAIRS: dict[type[Op], str] = {Add: "Add", Sub: "Sub", Mul: "Mul"}
NCHW_AXIS = (0, 2, 3, 1)  # where an axis of NHWC lies in NCHW


@singledispatch
def write(op: Op, w: Writer, node: Node) -> None:
    """Adds the ONNX nodes of `node`. UnsupportedError for an op without an ONNX form."""
    raise UnsupportedError(f"{op.name} '{node.name}' has no ONNX form here")


def supported(op: Op) -> bool:
    return write.dispatch(type(op)) is not write.dispatch(object)


@write.register
def _(op: Conv2D, w: Writer, node: Node) -> None:
    _convolution(w, node, _constant(w, node, 1).transpose(0, 3, 1, 2), op, op.groups)  # OHWI -> OIHW


@write.register
def _(op: DepthwiseConv2D, w: Writer, node: Node) -> None:
    weights = _constant(w, node, 1).transpose(3, 0, 1, 2)  # 1HWO -> O1HW
    _convolution(w, node, weights, op, w.type(node.inputs[0]).shape[3])


def _convolution(w: Writer, node: Node, weights: Array, op: Conv2D | DepthwiseConv2D, groups: int) -> None:
    weights = np.ascontiguousarray(weights)
    inputs = [w.real(node.inputs[0], maps=True), w.weight(node, weights, 0), *w.bias(node, len(weights))]
    real = w.emit(
        "Conv",
        inputs,
        f"{node.name}_conv",
        kernel_shape=list(weights.shape[2:]),
        strides=list(op.stride),
        dilations=list(op.dilation),
        group=groups,
        **attributes_of_padding(op.padding),
    )
    w.keep(node, _activated(w, node, real, op.activation), maps=True)


@write.register
def _(op: FullyConnected, w: Writer, node: Node) -> None:
    source, out = w.type(node.inputs[0]), w.type(node.outputs[0])
    weights = _constant(w, node, 1)
    rows = (source.elements // weights.shape[1], weights.shape[1])
    tensor = w.tensor(node.inputs[0])
    if source.shape != rows:
        tensor = w.reshaped(tensor, rows, f"{node.name}_rows")
    real = tensor if source.quant is None else w.dequantized(tensor, source, f"{node.name}_real")
    inputs = [real, w.weight(node, weights, 0), *w.bias(node, len(weights))]
    real = w.emit("Gemm", inputs, f"{node.name}_gemm", transB=1)
    tensor = _activated(w, node, real, op.activation)
    same = out.shape == (rows[0], len(weights))
    w.keep(node, tensor if same else w.reshaped(tensor, out.shape, f"{node.name}_shaped"))


@write.register(Add)
@write.register(Sub)
@write.register(Mul)
def _(op: Add | Sub | Mul, w: Writer, node: Node) -> None:
    maps = _all_maps(w, node)
    real = w.emit(PAIRS[type(op)], [w.real(n, maps) for n in node.inputs], f"{node.name}_real")
    w.keep(node, _activated(w, node, real, op.activation), maps)


def _all_maps(w: Writer, node: Node) -> bool:
    """Whether the node's inputs are maps, and some of them NCHW already."""
    return any(w.is_map(n) for n in node.inputs) and all(len(w.type(n).shape) == 4 for n in node.inputs)


@write.register
def _(op: AveragePool2D, w: Writer, node: Node) -> None:
    pool = {"kernel_shape": list(op.kernel), "strides": list(op.stride), **attributes_of_padding(op.padding)}
    real = w.emit("AveragePool", [w.real(node.inputs[0], maps=True)], f"{node.name}_mean", count_include_pad=0, **pool)
    w.keep(node, _activated(w, node, real, op.activation), maps=True)


@write.register
def _(op: MaxPool2D, w: Writer, node: Node) -> None:
    """The largest code is the code of the largest value: the pool works on codes."""
    out = w.type(node.outputs[0])
    pool = {"kernel_shape": list(op.kernel), "strides": list(op.stride), **attributes_of_padding(op.padding)}
    largest = w.emit("MaxPool", [w.tensor(node.inputs[0], maps=True)], f"{node.name}_max", **pool)
    limits = op.activation.code_range(out) if out.quant else INT8
    clipped = w.clipped(largest, limits, node.name) if out.quant else _clipped_real(w, node, largest, op.activation)
    w.keep(node, clipped, maps=True)


@write.register
def _(op: Mean, w: Writer, node: Node) -> None:
    source, out = node.inputs[0], w.type(node.outputs[0])
    if len(w.type(source).shape) != 4 or op.axes != (1, 2):
        axes = {"axes": list(op.axes), "keepdims": int(op.keep_dims)}
        w.store(node, w.emit("ReduceMean", [w.real(source)], f"{node.name}_mean", **axes))
        return
    real = w.emit("GlobalAveragePool", [w.real(source, maps=True)], f"{node.name}_mean")
    tensor = _activated(w, node, real, Activation.NONE)
    w.keep(node, tensor if op.keep_dims else w.reshaped(tensor, out.shape, f"{node.name}_rows"), maps=op.keep_dims)


@write.register
def _(op: Pad, w: Writer, node: Node) -> None:
    type = w.type(node.inputs[0])
    pads = np.array([p[0] for p in op.padding] + [p[1] for p in op.padding], np.int64)
    fill = w.scalar(0) if type.quant is None else w.constant("fill", np.array(type.zero_point + w.offset, w.codes_type))
    w.keep(node, w.emit("Pad", [w.tensor(node.inputs[0]), w.constant("pads", pads), fill], f"{node.name}_padded"))


@write.register
def _(op: Reshape, w: Writer, node: Node) -> None:
    w.keep(node, w.reshaped(w.tensor(node.inputs[0]), op.shape, f"{node.name}_shaped"))


@write.register
def _(op: Concat, w: Writer, node: Node) -> None:
    maps = _all_maps(w, node)
    axis = NCHW_AXIS[op.axis] if maps else op.axis
    w.keep(node, w.emit("Concat", [w.tensor(n, maps) for n in node.inputs], f"{node.name}_joined", axis=axis), maps)


@write.register
def _(op: Slice, w: Writer, node: Node) -> None:
    maps = _all_maps(w, node) and not op.dropped
    # A step backward to before the first element has an end that no index counts from the back.
    ends = [b + c * s if b + c * s >= 0 else -(1 << 40) for b, c, s in zip(op.begin, op.count, op.stride, strict=True)]
    axes = [NCHW_AXIS[k] if maps else k for k in range(len(op.begin))]
    given = (w.constant("slice", np.array(v, np.int64)) for v in (op.begin, ends, axes, op.stride))
    part = w.emit("Slice", [w.tensor(node.inputs[0], maps), *given], f"{node.name}_part")
    shape = w.type(node.outputs[0]).shape
    w.keep(node, w.reshaped(part, shape, f"{node.name}_shaped") if op.dropped else part, maps)


@write.register
def _(op: Transpose, w: Writer, node: Node) -> None:
    w.keep(node, w.emit("Transpose", [w.tensor(node.inputs[0])], f"{node.name}_turned", perm=list(op.permutation)))


@write.register
def _(op: Softmax, w: Writer, node: Node) -> None:
    """beta goes into the scale of the input, so that a fused integer softmax takes it."""
    real = w.real(node.inputs[0], factor=op.beta)
    w.store(node, w.emit("Softmax", [real], f"{node.name}_softmax", axis=-1))


@write.register
def _(op: Unary, w: Writer, node: Node) -> None:
    """A table of 256 codes, read by Gather: no float, and exact."""
    source, out = node.inputs[0], w.type(node.outputs[0])
    maps = w.is_map(source)
    if out.quant is None:
        real = w.real(source, maps)
        if op.name not in FLOAT_UNARY:
            raise UnsupportedError(f"{op.name} '{node.name}' has no float form in ONNX here")
        kind, limits = FLOAT_UNARY[op.name]
        w.keep(node, w.emit(kind, [real, *(w.scalar(v) for v in limits)], f"{node.name}_{kind}"), maps)
        return
    table = op.table(w.type(source), out).astype(np.int16) + w.offset
    if not w.offset:  # a negative index counts from the end
        table = np.roll(table, -128)
    index = w.index(w.tensor(source, maps), f"{node.name}_index")
    codes = w.constant(f"{node.name}_table", table.astype(w.codes_type))
    w.keep(node, w.emit("Gather", [codes, index], f"{node.name}_codes"), maps)


def _activated(w: Writer, node: Node, real: str, activation: Activation) -> str:
    """`real` after its fused activation, as it is stored: codes clipped as integers, or floats in a float graph."""
    out = w.type(node.outputs[0])
    if out.quant is None:
        return _clipped_real(w, node, real, activation)
    return w.quantized(node, real, activation.code_range(out))


def _clipped_real(w: Writer, node: Node, real: str, activation: Activation) -> str:
    low, high = activation.real_range
    if np.isfinite(high):
        return w.emit("Clip", [real, w.scalar(low), w.scalar(high)], f"{node.name}_clipped")
    return w.emit("Relu", [real], f"{node.name}_relu") if np.isfinite(low) else real


def _constant(w: Writer, node: Node, operand: int) -> Array:
    data = w.graph.values[node.inputs[operand]].data
    assert data is not None
    return data
