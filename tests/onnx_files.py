"""ONNX models made here, their quantized forms made by ONNX Runtime, and its answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ratti.graph.ir import Graph
from ratti.types import Array, Shape

onnx = pytest.importorskip("onnx", reason="onnx is missing (pip install 'ratti[onnx]')")
helper = onnx.helper


@dataclass
class Builder:
    """Nodes one after the other, each of one output; weights are drawn."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Array] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(11))

    def constant(self, data: Array) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = data
        return name

    def random(self, *shape: int, scale: float = 1.0) -> str:
        return self.constant((self.rng.normal(0, scale, shape) / np.sqrt(max(np.prod(shape[1:]), 1))).astype("float32"))

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        output = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], output, **attributes))
        return output

    def conv(self, x: str, inputs: int, outputs: int, kernel: Sequence[int], **attributes: Any) -> str:
        groups = attributes.get("group", 1)
        weight = self.random(outputs, inputs // groups, *kernel)
        bias = self.constant(self.rng.normal(0, 0.2, outputs).astype("float32"))
        return self.node("Conv", x, weight, bias, **attributes)

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def model(self, shape: Sequence[int | str], *outputs: str, opset: int = 17) -> Any:
        floats = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", floats, shape)],
            [helper.make_tensor_value_info(o, floats, None) for o in outputs],
            [onnx.numpy_helper.from_array(v, k) for k, v in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def single(make: Callable[[Builder], str], shape: Sequence[int | str] = (1, 6, 8, 7), opset: int = 17) -> Any:
    """A model of what `make` adds behind the input `x`."""
    b = Builder()
    return b.model(shape, make(b), opset=opset)


def shuffle(b: Builder, x: str, shape: Shape, groups: int) -> str:
    n, c, h, w = shape
    x = b.node("Reshape", x, b.ints(n, groups, c // groups, h, w))
    return b.node("Reshape", b.node("Transpose", x, perm=[0, 2, 1, 3, 4]), b.ints(n, c, h, w))


# One op each, on x of (1, 6, 8, 7).
OPS: dict[str, Callable[[Builder], str]] = {
    "conv": lambda b: b.conv("x", 6, 5, (3, 3), pads=[1, 1, 1, 1]),
    "conv_strided": lambda b: b.conv("x", 6, 4, (3, 2), strides=[2, 1], pads=[0, 1, 2, 0]),
    "conv_same_upper": lambda b: b.conv("x", 6, 4, (3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    "conv_same_lower": lambda b: b.conv("x", 6, 4, (2, 2), strides=[2, 2], auto_pad="SAME_LOWER"),
    "conv_dilated": lambda b: b.conv("x", 6, 4, (3, 3), dilations=[2, 2], pads=[2, 2, 2, 2]),
    "conv_groups": lambda b: b.conv("x", 6, 4, (3, 3), group=2),
    "conv_wide_padding": lambda b: b.conv("x", 6, 4, (1, 1), pads=[1, 0, 1, 2]),
    "conv_relu": lambda b: b.node("Relu", b.conv("x", 6, 4, (1, 1))),
    "conv_relu6": lambda b: b.node(
        "Clip", b.conv("x", 6, 4, (1, 1)), b.constant(np.float32(0)), b.constant(np.float32(6))
    ),
    "depthwise": lambda b: b.conv("x", 6, 6, (3, 3), group=6, pads=[1, 1, 1, 1]),
    "depthwise_multiplied": lambda b: b.conv("x", 6, 12, (3, 3), group=6),
    "dense": lambda b: b.node(
        "Gemm", b.node("Flatten", "x"), b.random(9, 336), b.random(9), transB=1
    ),
    "matmul": lambda b: b.node("MatMul", b.node("Reshape", "x", b.ints(1, -1)), b.random(336, 5)),
    "matmul_rows": lambda b: b.node("MatMul", "x", b.random(7, 5)),
    "add": lambda b: b.node("Add", "x", b.node("Relu", "x")),
    "relu": lambda b: b.node("Relu", "x"),
    "max_pool": lambda b: b.node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "average_pool": lambda b: b.node("AveragePool", "x", kernel_shape=[2, 3], strides=[2, 2]),
    "average_pool_padded": lambda b: b.node(
        "AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1
    ),
    "global_average": lambda b: b.node("GlobalAveragePool", "x"),
    "global_max": lambda b: b.node("GlobalMaxPool", "x"),
    "reduce_mean": lambda b: b.node("ReduceMean", "x", axes=[2, 3], keepdims=0),
    "reduce_rows": lambda b: b.node("ReduceMean", "x", axes=[-1], keepdims=1),
    "softmax": lambda b: b.node("Softmax", b.node("Reshape", "x", b.ints(1, 336))),
    "softmax_channels": lambda b: b.node("Softmax", "x", axis=1),
    "pad": lambda b: b.node("Pad", "x", b.ints(0, 0, 1, 0, 0, 0, 2, 1)),
    "transpose": lambda b: b.node("Relu", b.node("Transpose", "x", perm=[0, 2, 3, 1])),
    "squeeze": lambda b: b.node("Relu", b.node("Unsqueeze", b.node("Squeeze", "x", b.ints(0)), b.ints(0, 1))),
    "sub": lambda b: b.node("Sub", "x", b.random(6, 1, 1)),
    "mul": lambda b: b.node("Mul", "x", b.random(1, 6, 1, 1)),
    "maximum": lambda b: b.node("Max", "x", b.random(1)),
    "sigmoid": lambda b: b.node("Sigmoid", "x"),
    "tanh": lambda b: b.node("Tanh", "x"),
    "leaky_relu": lambda b: b.node("LeakyRelu", "x", alpha=0.2),
    "hard_swish": lambda b: b.node("HardSwish", "x"),
    "prelu": lambda b: b.node("PRelu", "x", b.random(6, 1, 1)),
    "div": lambda b: b.node("Div", "x", b.constant(np.float32(3))),
    "gate": lambda b: b.node("Mul", "x", b.node("Sigmoid", b.node("GlobalAveragePool", "x"))),
    "concat": lambda b: b.node("Concat", "x", b.node("Relu", b.conv("x", 6, 3, (1, 1))), axis=1),
    "concat_rows": lambda b: b.node("Concat", "x", b.node("MaxPool", "x", kernel_shape=[1, 1]), axis=-2),
    "slice": lambda b: b.node("Slice", "x", b.ints(1, -1), b.ints(6, -100), b.ints(2, 3), b.ints(2, -2)),
    "depth_to_space": lambda b: b.node("DepthToSpace", b.conv("x", 6, 8, (1, 1)), blocksize=2),
    "pixel_shuffle": lambda b: b.node("DepthToSpace", b.conv("x", 6, 8, (1, 1)), blocksize=2, mode="CRD"),
    "space_to_depth": lambda b: b.node("SpaceToDepth", b.conv("x", 6, 3, (1, 2)), blocksize=2),
    "reduce_max": lambda b: b.node("ReduceMax", b.conv("x", 6, 3, (1, 1)), axes=[2, 3]),
    "matrices": lambda b: b.node("MatMul", "x", b.node("Transpose", "x", perm=[0, 1, 3, 2])),
    "transposed_conv": lambda b: b.node("ConvTranspose", "x", b.random(6, 4, 3, 3), b.random(4), strides=[2, 2],
                                        pads=[1, 1, 1, 1], output_padding=[1, 1]),
    "resize_nearest": lambda b: b.node("Resize", b.conv("x", 6, 3, (1, 1)), "", b.constant(np.float32([1, 1, 2, 2])),
                                       coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    "resize_nearest_half": lambda b: b.node("Resize", b.conv("x", 6, 3, (1, 1)), "", "", b.ints(1, 3, 16, 21)),
    "resize_linear": lambda b: b.node("Resize", b.conv("x", 6, 3, (1, 1)), "", b.constant(np.float32([1, 1, 2, 3])),
                                      mode="linear"),
    "resize_corners": lambda b: b.node("Resize", b.conv("x", 6, 3, (1, 1)), "", "", b.ints(1, 3, 15, 9), mode="linear",
                                       coordinate_transformation_mode="align_corners"),
    "shuffle": lambda b: b.conv(shuffle(b, "x", (1, 6, 8, 7), 3), 6, 4, (3, 3)),
}


def net(normalized: bool = False) -> Any:
    """A small residual net with a shuffle, as exporters write it; with batch normalization where asked."""
    b = Builder()

    def norm(x: str, channels: int) -> str:
        if not normalized:
            return x
        numbers = [b.rng.uniform(0.5, 1.5, channels).astype("float32") for _ in range(4)]
        return b.node("BatchNormalization", x, *map(b.constant, numbers))

    x = b.node("Relu", norm(b.conv("x", 3, 8, (3, 3), strides=[2, 2], pads=[1, 1, 1, 1]), 8))
    y = b.node("Relu", norm(b.conv(x, 8, 8, (3, 3), group=8, pads=[1, 1, 1, 1]), 8))
    y = norm(b.conv(shuffle(b, y, (1, 8, 8, 8), 2), 8, 8, (1, 1)), 8)
    x = b.node("Relu", b.node("Add", x, y))
    x = b.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.node("Relu", norm(b.conv(x, 8, 12, (1, 1)), 12))
    x = b.node("Flatten", b.node("GlobalAveragePool", x))
    x = b.node("Gemm", x, b.random(10, 12), b.random(10), transB=1)
    return b.model((1, 3, 16, 16), x)


def inputs(shape: Sequence[int], count: int, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 1, shape).astype(np.float32) for _ in range(count)]


def quantized(model: Any, folder: Path, unsigned: bool, per_channel: bool = True, integers: bool = False) -> Path:
    """The path of `model` as ONNX Runtime quantizes it: QDQ, or operators on integers."""
    quantization = pytest.importorskip("onnxruntime.quantization", reason="onnxruntime is missing")
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            self.samples: Iterator[Array] = iter(inputs(shape, 8))

        def get_next(self) -> dict[str, Array] | None:
            x = next(self.samples, None)
            return None if x is None else {"x": x}

    kinds = quantization.QuantType
    before, after = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), before)
    logging.disable(logging.WARNING)
    try:
        quantization.quantize_static(
            before,
            after,
            Reader(),
            quant_format=quantization.QuantFormat.QOperator if integers else quantization.QuantFormat.QDQ,
            activation_type=kinds.QUInt8 if unsigned else kinds.QInt8,
            # ONNX Runtime multiplies uint8 by int8 with saturation on some x86 cores: both alike here.
            weight_type=kinds.QUInt8 if unsigned and integers else kinds.QInt8,
            per_channel=per_channel,
            extra_options={"WeightSymmetric": True, "ForceQuantizeNoInputCheck": True},
        )
    finally:
        logging.disable(logging.NOTSET)
    return after


def answers(model: bytes, x: Sequence[Array]) -> list[Array]:
    """The first output of ONNX Runtime for each input, every node computed as it is written."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is missing")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return [session.run(None, {name: v})[0] for v in x]


def given(graph: Graph, x: Array) -> Array:
    """`x` of the ONNX model as the graph takes it: channels last maybe, codes maybe."""
    (name,) = graph.inputs
    type = graph.type(name)
    if name in graph.metadata.get("channels_last", "").split():
        x = np.moveaxis(x, 1, -1)
    if type.quant is None:
        return np.ascontiguousarray(x)
    scale, zero = type.quant.scalar
    return np.clip(np.rint(x / np.float32(scale)) + zero, -128, 127).astype(np.int8)


def taken(graph: Graph, name: str, y: Array) -> Array:
    """The output `name` as the ONNX model gives it, in real numbers."""
    quant = graph.type(name).quant
    real = y if quant is None else quant.dequantize(y)
    return np.moveaxis(real, -1, 1) if name in graph.metadata.get("channels_last", "").split() else real
