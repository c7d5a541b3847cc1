"""A net with random weights as an int8 graph: what firmware would cost, before anything is trained. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ..errors import UnsupportedError
from ..graph.builder import GraphBuilder
from ..graph.ir import Graph
from ..ops.add import Add
from ..ops.average_pool2d import AveragePool2D
from ..ops.base import Activation as OpActivation
from ..ops.conv2d import Conv2D
from ..ops.depthwise_conv2d import DepthwiseConv2D
from ..ops.fully_connected import FullyConnected
from ..ops.max_pool2d import MaxPool2D
from ..ops.mean import Mean as MeanOp
from ..ops.reshape import Reshape
from ..types import DType, Quant, Shape, TensorType
from ._layers import Activation, Conv, Fc, Flatten, Layer, Mean, Pool, PoolKind
from ._spec import NetSpec

INPUT = (1 / 128, 0)  # scale and zero point of pictures
POSITIVE = (6 / 255, -128)  # after ReLU and ReLU6
SIGNED = (8 / 255, 0)


def random_graph(spec: NetSpec, seed: int = 0) -> Graph:
    """`spec` as an int8 graph; weights are drawn so that activations use their range (He et al. 2015)."""
    return _Writer(spec, seed).run()


class _Writer:
    def __init__(self, spec: NetSpec, seed: int) -> None:
        self._spec = spec
        self._rng = np.random.default_rng(seed)
        self._builder = GraphBuilder(spec.name)

    def run(self) -> Graph:
        b = self._builder
        x = b.input("input", TensorType((1, *self._spec.input_shape), DType.INT8, Quant.per_tensor(*INPUT)))
        for number, (block, shape) in enumerate(zip(self._spec.blocks, self._spec.shapes, strict=False), 1):
            prefix = f"b{number:02d}"
            body = self._chain(prefix, block.body(shape), x)
            shortcut = block.shortcut(shape)
            if shortcut is not None:
                after = block.activation_after
                other = self._chain(prefix, shortcut, x)
                body = b.quantized(Add(_fused(after)), [body, other], *_range(after), f"{prefix}_add")
            x = body
        return b.build([x], {"weights": "random"})

    def _chain(self, prefix: str, layers: Mapping[str, Layer], x: str) -> str:
        for name, layer in layers.items():
            x = self._layer(f"{prefix}_{name}", layer, x)
        return x

    def _layer(self, name: str, layer: Layer, x: str) -> str:
        b = self._builder
        source = b.type(x)
        keep = (source.scale, source.zero_point)
        if isinstance(layer, Conv):
            return self._conv(name, layer, x)
        if isinstance(layer, Fc):
            weights = self._constants(name, (layer.width, source.shape[-1]), 0, x)
            return b.quantized(FullyConnected(_fused(layer.activation)), [x, *weights], *_range(layer.activation), name)
        if isinstance(layer, Pool):
            kind = MaxPool2D if layer.kind is PoolKind.MAX else AveragePool2D
            return b.quantized(kind(layer.kernel, layer.strides, layer.pads), [x], *keep, name)
        if isinstance(layer, Mean):
            return b.quantized(MeanOp((1, 2)), [x], *keep, name)
        if isinstance(layer, Flatten):
            return b.quantized(Reshape((1, math.prod(source.shape[1:]))), [x], *keep, name)
        raise UnsupportedError(f"layer {type(layer).__name__} of '{self._spec.name}' has no int8 op")

    def _conv(self, name: str, layer: Conv, x: str) -> str:
        channels = self._builder.type(x).shape[-1]
        fused = _fused(layer.activation)
        if layer.groups == channels and layer.groups > 1:
            weights = self._constants(name, (1, *layer.kernel, layer.width), 3, x)
            depthwise = DepthwiseConv2D(
                layer.stride, layer.explicit_pads, layer.dilation, layer.width // channels, fused
            )
            return self._builder.quantized(depthwise, [x, *weights], *_range(layer.activation), name)
        weights = self._constants(name, (layer.width, *layer.kernel, channels // layer.groups), 0, x)
        conv = Conv2D(layer.stride, layer.explicit_pads, layer.dilation, layer.groups, fused)
        return self._builder.quantized(conv, [x, *weights], *_range(layer.activation), name)

    def _constants(self, name: str, shape: Shape, axis: int, x: str) -> tuple[str, str]:
        """Weights with output channels along `axis`, and biases."""
        outputs = shape[axis]
        fan_in = math.prod(shape) // outputs
        data = np.clip(np.rint(self._rng.normal(0, 42, shape)), -127, 127).astype(np.int8)
        scales = self._rng.uniform(0.8, 1.2, outputs) * math.sqrt(2 / fan_in) / 42
        weight = self._builder.constant(f"{name}_weight", data, Quant.per_channel(scales, axis))
        quant = Quant.per_channel(scales * self._builder.type(x).scale, 0)
        bias = self._builder.constant(f"{name}_bias", self._rng.integers(-500, 500, outputs).astype(np.int32), quant)
        return weight, bias


def _fused(activation: Activation) -> OpActivation:
    return OpActivation[activation.name]


def _range(activation: Activation) -> tuple[float, int]:
    return SIGNED if activation is Activation.NONE else POSITIVE
