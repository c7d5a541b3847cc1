"""How each op is written in ONNX: `write(op, writer, node)`, one function an op, found by the op's class."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from ...errors import UnsupportedError
from ...graph.ir import Node
from ...ops._binary import Binary
from ...ops._unary import Unary
from ...ops.abs import Abs
from ...ops.add import Add
from ...ops.arg_max import ArgMax
from ...ops.average_pool2d import AveragePool2D
from ...ops.base import Activation, Op
from ...ops.batch_matmul import BatchMatmul
from ...ops.concat import Concat
from ...ops.conv2d import Conv2D
from ...ops.depth_to_space import DepthToSpace
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.elu import Elu
from ...ops.fully_connected import FullyConnected
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
from ...ops.squared_difference import SquaredDifference
from ...ops.sub import Sub
from ...ops.sum import Sum
from ...ops.tanh import Tanh
from ...ops.transpose import Transpose
from ...ops.transpose_conv2d import TransposeConv2D
from ...types import Array, Shape
from .writer import INT8, NCHW, Writer, attributes_of_padding

# ONNX's kind of a float op of one tensor, and its limits.
FLOAT_UNARY: dict[type[Unary], tuple[str, tuple[float, ...]]] = {
    Abs: ("Abs", ()),
    Elu: ("Elu", ()),
    HardSwish: ("HardSwish", ()),
    LeakyRelu: ("LeakyRelu", ()),
    Logistic: ("Sigmoid", ()),
    Relu: ("Relu", ()),
    Relu6: ("Clip", (0.0, 6.0)),
    Requantize: ("Identity", ()),
    Tanh: ("Tanh", ()),
}

PAIRS: dict[type[Op], str] = {
    Add: "Add",
    Sub: "Sub",
    Mul: "Mul",
    SquaredDifference: "Mul",
    Prelu: "PRelu",
    Maximum: "Max",
    Minimum: "Min",
}
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


@write.register
def _(op: Binary, w: Writer, node: Node) -> None:
    maps = _all_maps(w, node)
    reals = [w.real(n, maps) for n in node.inputs]
    if isinstance(op, SquaredDifference):
        reals = [w.emit("Sub", reals, f"{node.name}_difference")] * 2
    if isinstance(op, Prelu) and w.type(node.inputs[0]).shape != w.type(node.outputs[0]).shape:
        reals[0] = _expanded(w, node, reals[0], maps)
    real = w.emit(PAIRS[type(op)], reals, f"{node.name}_real")
    w.keep(node, _activated(w, node, real, op.fused), maps)


def _expanded(w: Writer, node: Node, real: str, maps: bool) -> str:
    """PRelu repeats its slopes to fit, not its input."""
    shape = w.type(node.outputs[0]).shape
    wanted = [shape[k] for k in NCHW] if maps else shape
    return w.emit("Expand", [real, w.constant("shape", np.array(wanted, np.int64))], f"{node.name}_expanded")


@write.register(Maximum)
@write.register(Minimum)
def _(op: Binary, w: Writer, node: Node) -> None:
    """The largest code is the code of the largest value; as int32, which ONNX Runtime compares."""
    maps, quant = _all_maps(w, node), w.type(node.outputs[0]).quant
    tensors = [w.tensor(n, maps) for n in node.inputs]
    if quant is None:
        w.keep(node, w.emit(PAIRS[type(op)], tensors, f"{node.name}_chosen"), maps)
        return
    chosen = w.emit(PAIRS[type(op)], [w.index(t, f"{node.name}_int32") for t in tensors], f"{node.name}_chosen")
    w.keep(node, w.cast(chosen, w.codes_type, f"{node.name}_codes"), maps)


def _all_maps(w: Writer, node: Node) -> bool:
    """Whether the node's inputs are maps, and some of them NCHW already."""
    return any(w.is_map(n) for n in node.inputs) and all(len(w.type(n).shape) == 4 for n in node.inputs)


@write.register
def _(op: TransposeConv2D, w: Writer, node: Node) -> None:
    """What the windows cover is cut at the end, or goes on beyond the last one."""
    weights = np.ascontiguousarray(_constant(w, node, 1).transpose(3, 0, 1, 2))  # OHWI -> IOHW
    sizes, kernel = w.type(node.inputs[0]).shape[1:3], weights.shape[2:]
    rows = zip(op.padding, op.size, op.stride, sizes, kernel, strict=True)
    beyond = [(n - 1) * stride + k - before - out for before, out, stride, n, k in rows]
    real = w.emit(
        "ConvTranspose",
        [w.real(node.inputs[0], maps=True), w.weight(node, weights, 1), *w.bias(node, weights.shape[1])],
        f"{node.name}_conv",
        kernel_shape=list(kernel),
        strides=list(op.stride),
        pads=[*op.padding, *(max(n, 0) for n in beyond)],
        output_padding=[max(-n, 0) for n in beyond],
    )
    w.keep(node, _activated(w, node, real, op.activation), maps=True)


@write.register
def _(op: BatchMatmul, w: Writer, node: Node) -> None:
    reals = []
    for name, transposed in zip(node.inputs, (op.transposed, op.transposed_other), strict=True):
        tensor, type = w.tensor(name), w.type(name)
        if transposed:
            *front, m, n = range(len(type.shape))
            tensor = w.emit("Transpose", [tensor], f"{node.name}_turned", perm=[*front, n, m])
        reals.append(tensor if type.quant is None else w.dequantized(tensor, type, f"{node.name}_operand"))
    w.store(node, w.emit("MatMul", reals, f"{node.name}_product"))


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
def _(op: Sum, w: Writer, node: Node) -> None:
    axes = w.constant("axes", np.array(op.axes, np.int64))
    w.store(node, w.emit("ReduceSum", [w.real(node.inputs[0]), axes], f"{node.name}_sum", keepdims=int(op.keep_dims)))


@write.register
def _(op: ReduceMax, w: Writer, node: Node) -> None:
    axes = {"axes": list(op.axes), "keepdims": int(op.keep_dims)}
    w.keep(node, w.emit("ReduceMax", [w.tensor(node.inputs[0])], f"{node.name}_largest", **axes))


@write.register
def _(op: ArgMax, w: Writer, node: Node) -> None:
    place = w.emit("ArgMax", [w.tensor(node.inputs[0])], f"{node.name}_place", axis=op.axis, keepdims=0)
    w.keep(node, w.index(place, f"{node.name}_int32"))


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
def _(op: Pack, w: Writer, node: Node) -> None:
    axes = w.constant("axes", np.array([op.axis], np.int64))
    parts = [w.emit("Unsqueeze", [w.tensor(n), axes], f"{node.name}_part") for n in node.inputs]
    w.keep(node, w.emit("Concat", parts, f"{node.name}_joined", axis=op.axis))


@write.register
def _(op: DepthToSpace, w: Writer, node: Node) -> None:
    b, (n, h, width, c) = op.block, w.type(node.inputs[0]).shape
    _blocks(w, node, (n, h, width, b, b, c // (b * b)))


@write.register
def _(op: SpaceToDepth, w: Writer, node: Node) -> None:
    b, (n, h, width, c) = op.block, w.type(node.inputs[0]).shape
    _blocks(w, node, (n, h // b, b, width // b, b, c))


def _blocks(w: Writer, node: Node, split: Shape) -> None:
    """On codes, which ONNX Runtime's own kernels do not take: rows of a block beside the rows of the map."""
    parts = w.reshaped(w.tensor(node.inputs[0]), split, f"{node.name}_split")
    turned = w.emit("Transpose", [parts], f"{node.name}_turned", perm=[0, 1, 3, 2, 4, 5])
    w.keep(node, w.reshaped(turned, w.type(node.outputs[0]).shape, f"{node.name}_shaped"))


@write.register
def _(op: ResizeNearest, w: Writer, node: Node) -> None:
    """By the positions themselves: exact, where Resize would round them again."""
    tensor, shape = w.tensor(node.inputs[0]), w.type(node.inputs[0]).shape
    for axis in range(2):
        places = w.constant("places", op.positions(axis, shape[axis + 1]).astype(np.int32))
        tensor = w.emit("Gather", [tensor, places], f"{node.name}_taken", axis=axis + 1)
    w.keep(node, tensor)


@write.register
def _(op: ResizeBilinear, w: Writer, node: Node) -> None:
    n, h, width, c = w.type(node.outputs[0]).shape
    mode = "align_corners" if op.align_corners else "half_pixel" if op.half_pixel_centers else "asymmetric"
    size = w.constant("size", np.array((n, c, h, width), np.int64))
    inputs = [w.real(node.inputs[0], maps=True), "", "", size]
    real = w.emit("Resize", inputs, f"{node.name}_real", mode="linear", coordinate_transformation_mode=mode)
    w.store(node, real, maps=True)


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
        kind, limits = FLOAT_UNARY[type(op)]
        attributes = {"alpha": op.alpha} if isinstance(op, LeakyRelu) else {}
        inputs = [real, *(w.scalar(v) for v in limits)]
        w.keep(node, w.emit(kind, inputs, f"{node.name}_{kind}", **attributes), maps)
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
