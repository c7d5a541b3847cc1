"""From a float graph to a torch module with the same outputs: what training, quantizing and distilling work on.

The module takes and gives what torch's own nets do: maps as (N, C, H, W), any N. Inside they stay so
(`functions.Axes`), so that exporting the module and reading it again gives the graph. Convolutions and fully connected
layers are torch's layers under the names of their nodes; all constants are parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...errors import UnsupportedError
from ...graph.ir import Graph, Node
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.softmax import Softmax
from ...types import Array
from .functions import NCHW, Axes, activated, compute, has_torch_form, rows_of

LAYERS = (Conv2D, DepthwiseConv2D, FullyConnected)


class GraphModule(nn.Module):
    """`forward` walks the nodes of a float graph whose inputs hold one sample; exporting gives a straight program."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        if not graph.is_float:
            raise UnsupportedError(f"model '{graph.name}' holds integers; only float models can be trained further")
        refusals = sorted({n.op.name for n in graph.nodes if not (isinstance(n.op, LAYERS) or has_torch_form(n.op))})
        if refusals:
            raise UnsupportedError(f"model '{graph.name}': no torch form of {', '.join(refusals)}")
        self.graph = graph
        self.axes = Axes(graph)
        own = {name for node in graph.nodes for name in _add_layer(self, node)}
        for name in {i for n in graph.nodes for i in n.inputs if graph.values[i].is_constant} - own:
            data = graph.values[name].data
            assert data is not None
            tensor = self.axes.arranged(torch.from_numpy(np.array(data)), name).contiguous()
            if tensor.is_floating_point():
                self.register_parameter(_identifier(name), nn.Parameter(tensor))
            else:
                self.register_buffer(_identifier(name), tensor)

    def forward(self, first: Tensor, second: Tensor | None = None, *others: Tensor) -> Tensor | tuple[Tensor, ...]:
        """(N, C, H, W) where the graph has (1, H, W, C); one tensor, or a tuple where the graph has several outputs."""
        given = (first, *(() if second is None else (second,)), *others)
        values = dict(zip(self.graph.inputs, given, strict=True))
        for node in self.graph.nodes:
            result: Tensor | Sequence[Tensor]
            if isinstance(node.op, LAYERS):
                result = self._layer(node, values[node.inputs[0]])
            else:
                operands = [values[n] if n in values else self._constant(n) for n in node.inputs]
                result = compute(node.op, self.axes, node, operands)
            results = [result] if isinstance(result, Tensor) else list(result)
            values.update(zip(node.outputs, results, strict=True))
        found = tuple(values[n] for n in self.graph.outputs)
        return found[0] if len(found) == 1 else found

    def _layer(self, node: Node, x: Tensor) -> Tensor:
        """What torch's layer of a node gives."""
        op, layer, name = node.op, self.get_submodule(node.name), node.inputs[0]
        if isinstance(op, FullyConnected):
            if op.keep_dims:
                return self.axes.arranged(activated(layer(self.axes.stored(x, name)), op.activation), node.outputs[0])
            flat = x if x.ndim == 2 else rows_of(self.axes, x, name, self.graph.type(node.inputs[1]).shape[1])
            return activated(layer(flat), op.activation)
        assert isinstance(op, (Conv2D, DepthwiseConv2D))
        top, bottom, left, right = op.padding
        x = x if (top, left) == (bottom, right) else functional.pad(x, (left, right, top, bottom))
        y = activated(layer(x), op.activation)
        if not (isinstance(op, Conv2D) and op.interleaved):
            return y
        n, c, h, w = y.shape  # torch's groups lie one behind the other: a channel shuffle interleaves them
        return y.reshape(n, op.groups, c // op.groups, h, w).transpose(1, 2).reshape(n, c, h, w)

    def _constant(self, name: str) -> Tensor:
        found: Tensor = getattr(self, _identifier(name))
        return found


def to_module(graph: Graph, logits: bool = False) -> GraphModule:
    """The torch module of a float graph, in eval mode; UnsupportedError names what has no torch form.

    `logits` leaves out a softmax at the end: what losses and quantization take.
    """
    last = graph.nodes[-1] if graph.nodes else None
    if logits and last is not None and isinstance(last.op, Softmax) and graph.outputs == last.outputs:
        values = {n: v for n, v in graph.values.items() if n != last.outputs[0]}
        graph = Graph(graph.name, graph.inputs, (last.inputs[0],), graph.nodes[:-1], values, graph.metadata)
    module = GraphModule(graph)
    module.eval()
    return module


def _identifier(name: str) -> str:
    return "constant_" + "".join(c if c.isalnum() else "_" for c in name)


def _add_layer(module: GraphModule, node: Node) -> tuple[str, ...]:
    """Adds torch's layer for a node with weights; the names of the constants that it holds."""
    op, operands = node.op, module.graph.operands(node)
    if not isinstance(op, LAYERS):
        return ()
    weight = operands[1].data
    if weight is None:
        raise UnsupportedError(f"{op.name} '{node.name}': weights that are computed at run time have no torch form")
    bias = operands[2].data if len(operands) > 2 else None
    layer: nn.Conv2d | nn.Linear
    if isinstance(op, FullyConnected):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    else:
        assert isinstance(op, (Conv2D, DepthwiseConv2D))
        weight = weight.transpose((3, 0, 1, 2) if isinstance(op, DepthwiseConv2D) else NCHW)
        if isinstance(op, Conv2D) and op.interleaved:
            order = np.arange(weight.shape[0]).reshape(-1, op.groups).T.ravel()
            weight, bias = weight[order], None if bias is None else bias[order]
        channels = operands[0].type.shape[3]
        groups = channels if isinstance(op, DepthwiseConv2D) else op.groups
        top, bottom, left, right = op.padding
        pads = (top, left) if (top, left) == (bottom, right) else (0, 0)
        layer = nn.Conv2d(channels, weight.shape[0], weight.shape[2:], op.stride, pads, op.dilation, groups,
                          bias is not None)
    with torch.no_grad():
        layer.weight.copy_(_tensor(weight))
        if bias is not None and layer.bias is not None:
            layer.bias.copy_(_tensor(bias))
    module.add_module(node.name, layer)
    return node.inputs[1:]


def _tensor(data: Array) -> Tensor:
    return torch.from_numpy(np.array(data, np.float32, order="C"))
