"""A net with random weights as an int8 graph: what firmware would cost, before anything is trained. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.builder import GraphBuilder
from ..graph.ir import Graph
from ..ops.add import Add as AddOp
from ..ops.average_pool2d import AveragePool2D
from ..ops.base import Activation as OpActivation
from ..ops.concat import Concat as ConcatOp
from ..ops.conv2d import Conv2D
from ..ops.depthwise_conv2d import DepthwiseConv2D
from ..ops.fully_connected import FullyConnected
from ..ops.hard_swish import HardSwish
from ..ops.max_pool2d import MaxPool2D
from ..ops.mean import Mean as MeanOp
from ..ops.mul import Mul
from ..ops.relu import Relu
from ..ops.requantize import Requantize
from ..ops.reshape import Reshape
from ..ops.slice import Slice
from ..ops.transpose import Transpose
from ..types import Array, DType, Quant, Shape, TensorType
from ._joins import Add, Channels, Concat, GlobalMean, Scale, Shuffle
from ._layers import INPUT, NUMBERS, Activation, Conv, Fc, Flatten, Layer, Mean, Pool, PoolKind
from ._spec import NetSpec

PICTURE = (1 / 128, 0)  # scale and zero point of pictures
POSITIVE = (6 / 255, -128)  # after ReLU and ReLU6
SIGNED = (8 / 255, 0)


def random_graph(spec: NetSpec, seed: int = 0) -> Graph:
    """`spec` as an int8 graph; weights are drawn so that activations use their range (He et al. 2015)."""
    return _Writer(spec, seed).run()


def random_weights(
    rng: np.random.Generator, shape: Shape, axis: int, scale: float
) -> tuple[tuple[Array, Quant], tuple[Array, Quant]]:
    """Weights with output channels along `axis` for an input of `scale`, and biases (He et al. 2015): int8, int32."""
    outputs = shape[axis]
    fan_in = math.prod(shape) // outputs
    codes = np.clip(np.rint(rng.normal(0, 42, shape)), -127, 127).astype(np.int8)
    scales = rng.uniform(0.8, 1.2, outputs) * math.sqrt(2 / fan_in) / 42
    biases = rng.integers(-500, 500, outputs).astype(np.int32)
    return (codes, Quant.per_channel(scales, axis)), (biases, Quant.per_channel(scales * scale, 0))


class _Writer:
    def __init__(self, spec: NetSpec, seed: int) -> None:
        self._spec = spec
        self._rng = np.random.default_rng(seed)
        self.builder = GraphBuilder(spec.name)

    def run(self) -> Graph:
        b = self.builder
        x = b.input("input", TensorType((1, *self._spec.input_shape), DType.INT8, Quant.per_tensor(*PICTURE)))
        values: dict[str, str] = {}
        if self._spec.numbers:
            values[NUMBERS] = b.input(
                "numbers", TensorType((1, self._spec.numbers), DType.INT8, Quant.per_tensor(*SIGNED)))
        for number, (block, shape) in enumerate(zip(self._spec.blocks, self._spec.shapes, strict=False), 1):
            values[INPUT] = x
            for wire in block.wires(shape):
                name = f"b{number:02d}_{wire.name}"
                x = values[wire.name] = WRITERS[type(wire.layer)](
                    self, name, wire.layer, *(values[i] for i in wire.inputs))
        return b.build([x], {"weights": "random"})

    def quant(self, x: str) -> tuple[float, int]:
        type = self.builder.type(x)
        return type.scale, type.zero_point

    def activated(self, name: str, op: Callable[[OpActivation], Any], activation: Activation, inputs: list[str]) -> str:
        """An op with its activation: inside it, or behind it where no op can hold it."""
        if activation is Activation.HARD_SWISH:
            y = self.builder.quantized(op(OpActivation.NONE), inputs, *SIGNED, name)
            return self.builder.quantized(HardSwish(), [y], *SIGNED, f"{name}_{activation.value}")
        wanted = SIGNED if activation is Activation.NONE else POSITIVE
        return self.builder.quantized(op(OpActivation[activation.name]), inputs, *wanted, name)

    def constants(self, name: str, shape: Shape, axis: int, x: str) -> tuple[str, str]:
        """Weights with output channels along `axis`, and biases."""
        drawn = random_weights(self._rng, shape, axis, self.builder.type(x).scale)
        weight, bias = (self.builder.constant(f"{name}_{role}", codes, quant)
                        for role, (codes, quant) in zip(("weight", "bias"), drawn, strict=True))
        return weight, bias


def _conv(writer: _Writer, name: str, layer: Conv, x: str) -> str:
    channels = writer.builder.type(x).shape[-1]
    if layer.groups == channels and layer.groups > 1:
        weights = writer.constants(name, (1, *layer.kernel, layer.width), 3, x)
        return writer.activated(name, lambda fused: DepthwiseConv2D(
            layer.stride, layer.explicit_pads, layer.dilation, layer.width // channels, fused),
            layer.activation, [x, *weights])
    weights = writer.constants(name, (layer.width, *layer.kernel, channels // layer.groups), 0, x)
    return writer.activated(name, lambda fused: Conv2D(
        layer.stride, layer.explicit_pads, layer.dilation, layer.groups, fused), layer.activation, [x, *weights])


def _fc(writer: _Writer, name: str, layer: Fc, x: str) -> str:
    weights = writer.constants(name, (layer.width, writer.builder.type(x).shape[-1]), 0, x)
    return writer.activated(name, FullyConnected, layer.activation, [x, *weights])


def _pool(writer: _Writer, name: str, layer: Pool, x: str) -> str:
    kind = MaxPool2D if layer.kind is PoolKind.MAX else AveragePool2D
    return writer.builder.quantized(kind(layer.kernel, layer.strides, layer.pads), [x], *writer.quant(x), name)


def _mean(writer: _Writer, name: str, layer: Mean, x: str) -> str:
    return writer.builder.quantized(MeanOp((1, 2)), [x], *writer.quant(x), name)


def _global_mean(writer: _Writer, name: str, layer: GlobalMean, x: str) -> str:
    return writer.builder.quantized(MeanOp((1, 2), True), [x], *writer.quant(x), name)


def _flatten(writer: _Writer, name: str, layer: Flatten, x: str) -> str:
    flat = (1, math.prod(writer.builder.type(x).shape[1:]))
    return writer.builder.quantized(Reshape(flat), [x], *writer.quant(x), name)


def _add(writer: _Writer, name: str, layer: Add, *inputs: str) -> str:
    return writer.activated(name, AddOp, layer.activation, list(inputs))


def _scale(writer: _Writer, name: str, layer: Scale, *inputs: str) -> str:
    return writer.builder.quantized(Mul(), list(inputs), *SIGNED, name)


def _concat(writer: _Writer, name: str, layer: Concat, *inputs: str) -> str:
    quant = writer.quant(inputs[0])
    same = [x if writer.quant(x) == quant else writer.builder.quantized(Requantize(), [x], *quant, f"{name}_{k}")
            for k, x in enumerate(inputs)]
    axis = len(writer.builder.shape(inputs[0])) - 1
    y = writer.builder.quantized(ConcatOp(axis), same, *quant, name)
    if layer.activation is Activation.NONE:
        return y
    return writer.builder.quantized(Relu(), [y], *quant, f"{name}_relu")


def _channels(writer: _Writer, name: str, layer: Channels, x: str) -> str:
    shape = writer.builder.shape(x)
    begin = (*(0,) * (len(shape) - 1), layer.begin)
    size = (*shape[:-1], layer.end - layer.begin)
    return writer.builder.quantized(Slice(begin, size, (1,) * len(shape)), [x], *writer.quant(x), name)


def _shuffle(writer: _Writer, name: str, layer: Shuffle, x: str) -> str:
    """Channels as (groups, n), transposed to (n, groups)."""
    b, quant = writer.builder, writer.quant(x)
    n, h, w, c = b.shape(x)
    split = b.quantized(Reshape((n, h, w, layer.groups, c // layer.groups)), [x], *quant, f"{name}_split")
    swapped = b.quantized(Transpose((0, 1, 2, 4, 3)), [split], *quant, name)
    return b.quantized(Reshape((n, h, w, c)), [swapped], *quant, f"{name}_join")


WRITERS: dict[type[Layer], Callable[..., str]] = {
    Conv: _conv,
    Fc: _fc,
    Pool: _pool,
    Mean: _mean,
    GlobalMean: _global_mean,
    Flatten: _flatten,
    Add: _add,
    Scale: _scale,
    Concat: _concat,
    Channels: _channels,
    Shuffle: _shuffle,
}
