"""A graph as a torch program: for int8 graphs every op in float between dequantize and quantize ops (PT2's Q/DQ form).

Inputs and outputs are the graph's: codes in NHWC. Inside, maps are NCHW. `compute(op, …)` holds one function an op.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import singledispatch

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UnsupportedError
from ..graph.ir import Graph, Node
from ..graph.passes import unfold_shuffles
from ..ops.add import Add
from ..ops.average_pool2d import AveragePool2D
from ..ops.base import Activation, Op
from ..ops.conv2d import Conv2D
from ..ops.depthwise_conv2d import DepthwiseConv2D
from ..ops.fully_connected import FullyConnected
from ..ops.max_pool2d import MaxPool2D
from ..ops.mean import Mean
from ..ops.pad import Pad
from ..ops.relu import Relu
from ..ops.relu6 import Relu6
from ..ops.requantize import Requantize
from ..ops.reshape import Reshape
from ..ops.softmax import Softmax
from ..types import TensorType

NCHW, NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
CODES = (-128, 127, torch.int8)
WEIGHT_CODES = (-127, 127, torch.int8)


class Program(nn.Module):
    """`forward` walks the graph's nodes; exporting it gives one straight program."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = unfold_shuffles.run(graph)
        self._maps: dict[str, Tensor] = {}
        self._plain: dict[str, Tensor] = {}
        for node in self.graph.nodes:
            self._add_weights(node)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        self._maps, self._plain = {}, dict(zip(self.graph.inputs, inputs, strict=True))
        for node in self.graph.nodes:
            compute(node.op, self, node)
        outputs = tuple(self._stored(name) for name in self.graph.outputs)
        self._maps, self._plain = {}, {}
        return outputs

    def value_type(self, name: str) -> TensorType:
        return self.graph.type(name)

    def is_map(self, name: str) -> bool:
        return name in self._maps

    def map(self, name: str) -> Tensor:
        """The value as floats, (N, C, H, W)."""
        if name not in self._maps:
            self._maps[name] = self._coded(self.plain(name).permute(NCHW), name)
        return self._real(self._maps[name], name)

    def plain(self, name: str) -> Tensor:
        """The value as floats, stored as the graph says."""
        return self._real(self._stored(name), name)

    def keep(self, node: Node, real: Tensor, maps: bool = False, activation: Activation = Activation.NONE) -> None:
        """`real` becomes the node's output, after its activation, as codes where the graph is of integers."""
        (name,) = node.outputs
        (self._maps if maps else self._plain)[name] = self._coded(self._activated(real, activation, name), name)

    def rounded(self, real: Tensor, name: str) -> Tensor:
        """`real` on the grid of the codes of `name`."""
        return self._real(self._coded(real, name), name)

    def weights(self, node: Node) -> tuple[Tensor, Tensor | None]:
        """Weights as floats, output channels first (OIHW or OI), and the bias on the grid of the accumulators."""
        weight: Tensor = getattr(self, f"{node.name}_weight")
        quant = self.value_type(node.inputs[1]).quant
        ops = torch.ops.quantized_decomposed
        if quant is not None and quant.axis is None:
            weight = ops.dequantize_per_tensor(weight, *quant.scalar, *WEIGHT_CODES)
        elif quant is not None:
            scales, zeros = getattr(self, f"{node.name}_scales"), getattr(self, f"{node.name}_zeros")
            weight = ops.dequantize_per_channel(weight, scales, zeros, 0, *WEIGHT_CODES)
        return weight, getattr(self, f"{node.name}_bias", None)

    def _add_weights(self, node: Node) -> None:
        if node.op.activations == len(node.op.operand_names):
            return
        operands = self.graph.operands(node)
        data, quant = operands[1].data, operands[1].type.quant
        assert data is not None
        order = WEIGHT_ORDERS.get(type(node.op), tuple(range(data.ndim)))
        self.register_buffer(f"{node.name}_weight", torch.from_numpy(np.ascontiguousarray(data.transpose(order))))
        if quant is not None:
            scales = np.asarray(quant.scale, np.float32)
            self.register_buffer(f"{node.name}_scales", torch.from_numpy(scales))
            self.register_buffer(f"{node.name}_zeros", torch.zeros(len(scales), dtype=torch.int64))
        if len(operands) > 2:
            bias = operands[2].data
            assert bias is not None
            if quant is not None:  # float on the int32 grid: XNNPACK rounds it back to the same integers
                bias = bias * (np.asarray(quant.scale) * operands[0].type.scale)
            tensor = torch.from_numpy(np.asarray(bias, np.float32).copy())
            self.register_parameter(f"{node.name}_bias", nn.Parameter(tensor, requires_grad=False))

    def _activated(self, real: Tensor, activation: Activation, name: str) -> Tensor:
        type = self.value_type(name)
        low, high = activation.real_range
        if type.quant is not None and activation.code_range(type) == type.dtype.limits:
            return real  # the codes themselves end there
        if np.isfinite(high):
            return F.hardtanh(real, low, high)
        return F.relu(real) if np.isfinite(low) else real

    def _stored(self, name: str) -> Tensor:
        """Codes, or floats in a float graph, in the graph's order of dimensions."""
        if name not in self._plain:
            data = self.graph.values[name].data
            if data is None:
                self._plain[name] = self._coded(self._real(self._maps[name], name).permute(NHWC), name)
            else:
                self._plain[name] = torch.from_numpy(data.copy())
        return self._plain[name]

    def _real(self, codes: Tensor, name: str) -> Tensor:
        """Dequantized anew for every reader: XNNPACK's partitioner takes an op only with dequantize ops of its own."""
        quant = self.value_type(name).quant
        if quant is None:
            return codes
        real: Tensor = torch.ops.quantized_decomposed.dequantize_per_tensor(codes, *quant.scalar, *CODES)
        return real

    def _coded(self, real: Tensor, name: str) -> Tensor:
        quant = self.value_type(name).quant
        if quant is None:
            return real
        codes: Tensor = torch.ops.quantized_decomposed.quantize_per_tensor(real, *quant.scalar, *CODES)
        return codes


WEIGHT_ORDERS: Mapping[type[Op], tuple[int, ...]] = {Conv2D: (0, 3, 1, 2), DepthwiseConv2D: (3, 0, 1, 2)}


@singledispatch
def compute(op: Op, p: Program, node: Node) -> None:
    """Adds what `node` computes to the program. UnsupportedError for an op without a torch form."""
    raise UnsupportedError(f"{op.name} '{node.name}' has no torch form here")


def refusal(op: Op) -> str:
    """Why `op` has no torch form; empty where it has one."""
    if compute.dispatch(type(op)) is compute.dispatch(object):
        return f"no torch form for {op.name}"
    if isinstance(op, AveragePool2D) and _lopsided(op.padding):
        return f"torch's average pool pads both sides alike, not {op.padding}"
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
def _(op: Add, p: Program, node: Node) -> None:
    maps = any(p.is_map(n) for n in node.inputs) and all(len(p.value_type(n).shape) == 4 for n in node.inputs)
    a, b = (p.map(n) if maps else p.plain(n) for n in node.inputs)
    p.keep(node, a + b, maps, op.activation)


@compute.register
def _(op: AveragePool2D, p: Program, node: Node) -> None:
    pads = (op.padding[0], op.padding[2])
    x = F.avg_pool2d(p.map(node.inputs[0]), op.kernel, op.stride, pads, count_include_pad=False)
    p.keep(node, x, True, op.activation)


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
def _(op: Relu, p: Program, node: Node) -> None:
    _elementwise(p, node, F.relu)


@compute.register
def _(op: Relu6, p: Program, node: Node) -> None:
    _elementwise(p, node, F.relu6)


@compute.register
def _(op: Requantize, p: Program, node: Node) -> None:
    _elementwise(p, node, lambda x: x)


def _elementwise(p: Program, node: Node, function: Callable[[Tensor], Tensor]) -> None:
    (source,), maps = node.inputs, p.is_map(node.inputs[0])
    p.keep(node, function(p.map(source) if maps else p.plain(source)), maps)
