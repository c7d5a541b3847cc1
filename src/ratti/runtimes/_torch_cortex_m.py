"""A graph as the torch program that ExecuTorch's Cortex-M passes lower: what CMSIS-NN computes, written as it wants it.

Biases are int32 behind dequantize ops, a fused activation is the range of the codes that follow, and a fully connected
layer with a scale for each channel is a 1x1 convolution: the backend's linear kernel has one scale.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..graph.ir import Graph, Node
from ..ops._accumulate import LinearOp
from ..ops.average_pool2d import AveragePool2D
from ..ops.base import Activation, Op
from ..ops.fully_connected import FullyConnected
from ..ops.mean import Mean
from ..ops.softmax import Softmax
from . import _torch_operators
from ._torch_program import Program

INT32 = (-(2**31), 2**31 - 1, torch.int32)


class CortexMProgram(Program):
    """The Q/DQ program of an int8 graph in the form above."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph, _compute)
        for node in self.graph.nodes:
            if isinstance(node.op, LinearOp):
                self._adapt(node)
        for name, value in list(self.named_buffers()):  # as parameters: those that lowering replaces can be removed
            delattr(self, name)
            self.register_parameter(name, nn.Parameter(value, requires_grad=False))

    def weights(self, node: Node) -> tuple[Tensor, Tensor | None]:
        weight, bias = super().weights(node)
        if bias is None:
            return weight, None
        codes, quant = getattr(self, f"{node.name}_bias_codes"), self.value_type(node.inputs[1]).quant
        assert quant is not None
        ops = torch.ops.quantized_decomposed
        if quant.axis is None:
            scale = quant.scale[0] * self.value_type(node.inputs[0]).scale
            return weight, ops.dequantize_per_tensor(codes, scale, 0, *INT32)
        scales, zeros = getattr(self, f"{node.name}_bias_scales"), getattr(self, f"{node.name}_zeros")
        return weight, ops.dequantize_per_channel(codes, scales, zeros, 0, *INT32)

    def keep(self, node: Node, real: Tensor, maps: bool = False, activation: Activation = Activation.NONE) -> None:
        (name,) = node.outputs
        type = self.value_type(name)
        if type.quant is None:
            super().keep(node, real, maps, activation)
            return
        limits = activation.code_range(type)
        codes = torch.ops.quantized_decomposed.quantize_per_tensor(real, *type.quant.scalar, *limits, torch.int8)
        (self._maps if maps else self._plain)[name] = codes if maps else codes.reshape(type.shape)

    def _adapt(self, node: Node) -> None:
        """Integer biases, and the weights of a fully connected layer that becomes a convolution as its filters."""
        operands = self.graph.operands(node)
        weight = operands[1].type.quant
        assert weight is not None
        if len(operands) > 2:
            data, scales = operands[2].data, np.asarray(weight.scale) * operands[0].type.scale
            assert data is not None
            self.register_buffer(f"{node.name}_bias_codes", torch.from_numpy(data.astype(np.int32)))
            self.register_buffer(f"{node.name}_bias_scales", torch.from_numpy(scales.astype(np.float32)))
        filters = getattr(self, f"{node.name}_weight")
        filters = filters[..., None, None] if _as_convolution(self, node) else filters
        # Dimensions of 1 may have any stride; the passes want those that come with the shape.
        self.register_buffer(f"{node.name}_weight", filters.new_empty(filters.shape).copy_(filters))


def refusal(op: Op) -> str:
    """Why `op` is not written for Cortex-M; empty where it is."""
    if isinstance(op, AveragePool2D) and op.padding[::2] != op.padding[1::2]:
        return "an average pool with unlike padding on its sides"
    return _torch_operators.refusal(op)


def _compute(op: Op, p: Program, node: Node) -> None:
    if isinstance(op, FullyConnected) and _as_convolution(p, node):
        weight, bias = p.weights(node)
        x = p.rounded(p.plain(node.inputs[0]).reshape(-1, *weight.shape[1:]), node.inputs[0])
        p.keep(node, F.conv2d(x, weight, bias), activation=op.activation)
    elif isinstance(op, Softmax) and op.beta == 1:
        p.keep(node, F.softmax(p.plain(node.inputs[0]), -1))
    elif isinstance(op, Mean) and _is_pool(op, p, node):
        x = p.map(node.inputs[0])
        p.keep(node, F.avg_pool2d(x, x.shape[2:]), maps=op.keep_dims)
    else:
        _torch_operators.compute(op, p, node)


def _as_convolution(p: Program, node: Node) -> bool:
    quant = p.value_type(node.inputs[1]).quant if isinstance(node.op, FullyConnected) else None
    return quant is not None and quant.axis is not None


def _is_pool(op: Mean, p: Program, node: Node) -> bool:
    """A mean over height and width in one quantization: CMSIS-NN pools it."""
    source, output = p.value_type(node.inputs[0]), p.value_type(node.outputs[0])
    return len(source.shape) == 4 and op.axes == (1, 2) and source.quant == output.quant
