"""A graph as a torch program: for int8 graphs every op in float between dequantize and quantize ops (PT2's Q/DQ form).

Inputs and outputs are the graph's: codes in NHWC. Inside, maps are NCHW.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..graph.ir import Graph, Node
from ..graph.passes import unfold_shuffles
from ..ops._accumulate import LinearOp
from ..ops.base import Activation, Op
from ..ops.conv2d import Conv2D
from ..ops.depthwise_conv2d import DepthwiseConv2D
from ..ops.transpose_conv2d import TransposeConv2D
from ..types import TensorType

NCHW, NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
CODES = (-128, 127, torch.int8)
WEIGHT_CODES = (-127, 127, torch.int8)

Compute = Callable[[Op, "Program", Node], None]  # adds what a node computes to the program


class Program(nn.Module):
    """`forward` walks the graph's nodes; exporting it gives one straight program."""

    def __init__(self, graph: Graph, compute: Compute) -> None:
        super().__init__()
        self.graph = unfold_shuffles.run(graph)
        self.compute = compute
        self._maps: dict[str, Tensor] = {}
        self._plain: dict[str, Tensor] = {}
        for node in self.graph.nodes:
            self._add_weights(node)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        self._maps, self._plain = {}, dict(zip(self.graph.inputs, inputs, strict=True))
        for node in self.graph.nodes:
            self.compute(node.op, self, node)
        outputs = tuple(self.codes(name) for name in self.graph.outputs)
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
        return self._real(self.codes(name), name)

    def keep(self, node: Node, real: Tensor, maps: bool = False, activation: Activation = Activation.NONE) -> None:
        """`real` becomes the node's output, after its activation, as codes where the graph is of integers."""
        (name,) = node.outputs
        (self._maps if maps else self._plain)[name] = self._coded(self._activated(real, activation, name), name)

    def rounded(self, real: Tensor, name: str) -> Tensor:
        """`real` on the grid of the codes of `name`."""
        return self._real(self._coded(real, name), name)

    def weights(self, node: Node) -> tuple[Tensor, Tensor | None]:
        """Weights as floats in torch's order (OIHW or OI; IOHW), and the bias on the grid of the accumulators."""
        weight: Tensor = getattr(self, f"{node.name}_weight")
        quant = self.value_type(node.inputs[1]).quant
        ops = torch.ops.quantized_decomposed
        if quant is not None and quant.axis is None:
            weight = ops.dequantize_per_tensor(weight, *quant.scalar, *WEIGHT_CODES)
        elif quant is not None:
            scales, zeros = getattr(self, f"{node.name}_scales"), getattr(self, f"{node.name}_zeros")
            weight = ops.dequantize_per_channel(weight, scales, zeros, WEIGHT_AXES.get(type(node.op), 0), *WEIGHT_CODES)
        return weight, getattr(self, f"{node.name}_bias", None)

    def _add_weights(self, node: Node) -> None:
        if not isinstance(node.op, LinearOp):
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

    def codes(self, name: str) -> Tensor:
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


# From TFLite's order to torch's, and where torch has the output channels.
WEIGHT_ORDERS: Mapping[type[Op], tuple[int, ...]] = {
    Conv2D: (0, 3, 1, 2), DepthwiseConv2D: (3, 0, 1, 2), TransposeConv2D: (3, 0, 1, 2)}
WEIGHT_AXES: Mapping[type[Op], int] = {TransposeConv2D: 1}
