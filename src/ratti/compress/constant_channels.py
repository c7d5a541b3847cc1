"""Channels that hold one value for every input, written as that value before weights are rounded.

Weight pruning and training leave some: a filter of zeros, or one that reads such a channel alone. Batch normalization
behind it has a variance of nearly 0 and divides by it: in float, large terms cancel. Rounded to int8 they do not, and
the channel's value is far off.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from ..formats.torch_export.program import attribute
from .quantizer import LINEAR, aten

STILL = 1e-4  # a variance below this share of batch norm's epsilon leaves a hundredth of gamma


def settle(program: GraphModule) -> int:
    """Gives constant channels filters of zeros, in place and in tensors of their own; how many there were."""
    count = 0
    for node in program.graph.nodes:
        layer = node.args[0] if node.target == aten.batch_norm.default else None
        if not isinstance(layer, Node) or layer.target not in LINEAR or len(layer.users) > 1:
            continue
        mean, variance, epsilon = _get(program, node.args[3]), _get(program, node.args[4]), node.args[7]
        still = variance < STILL * epsilon
        if not still.any():
            continue
        weight = _get(program, layer.args[1])
        bias = layer.args[2] if len(layer.args) > 2 else None
        rest = torch.zeros_like(mean) if bias is None else _get(program, bias)
        _set(program, layer.args[1], torch.where(still.reshape(-1, *[1] * (weight.ndim - 1)), 0.0, weight))
        _set(program, node.args[3], torch.where(still, rest, mean))  # what the layer gives now
        count += int(still.sum())
    return count


def _get(program: GraphModule, node: object) -> Tensor:
    assert isinstance(node, Node) and node.op == "get_attr"
    value: Tensor = attribute(program, node.target)
    return value.detach()


def _set(program: GraphModule, node: object, value: Tensor) -> None:
    """A new tensor: the model that was exported keeps its own."""
    assert isinstance(node, Node)
    path, _, name = str(node.target).rpartition(".")
    learned = isinstance(attribute(program, node.target), nn.Parameter)
    setattr(program.get_submodule(path), name, nn.Parameter(value) if learned else value)
