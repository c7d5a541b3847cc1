"""Cross-layer equalization: channels of neighboring layers share the range of their weights fairly.

Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1: a ReLU lets a
factor pass, so a channel can be made smaller in one layer and larger in the next. With ranges r1 and r2 of a channel in
the two, the factor sqrt(r1 / r2) makes both sqrt(r1 r2). ReLU6 lets none pass: it becomes ReLU, as in section 5.1.1.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from ._folded import Layer
from .quantizer import LINEAR, aten

RELU = frozenset({aten.relu.default, aten.relu_.default})
RELU6 = frozenset({aten.relu6.default, aten.hardtanh.default, aten.hardtanh_.default})
PASSING = RELU | {aten.mean.dim, aten.max_pool2d.default, aten.avg_pool2d.default, aten.dropout.default}
SWEEPS = 20
LIMIT = 64.0  # of a channel's factor, in one sweep
SMALLEST = 1e-8  # ranges below belong to dead channels, which stay as they are


def equalize(program: GraphModule, layers: tuple[Layer, ...]) -> int:
    """Equalizes a folded program in place; how many pairs of layers there were.

    The function stays what it was, up to rounding, but for ReLU6 turned into ReLU between the layers of a pair.
    """
    by_node = {layer.node: layer for layer in layers}
    pairs = [(first, by_node[last]) for first in layers if (last := _next(first.node)) is not None]
    for first, _ in pairs:
        _open(program, first)
    for _ in range(SWEEPS):
        if max((_share(*pair) for pair in pairs), default=0.0) < 1e-3:
            break
    program.recompile()
    return len(pairs)


def _next(node: Node) -> Node | None:
    """The layer that alone takes what `node` makes, where a factor passes on the way."""
    while len(node.users) == 1:
        (user,) = node.users
        if user.args[0] is not node:
            return None
        if user.target in LINEAR:
            return user
        if user.target not in PASSING | RELU6:
            return None
        node = user
    return None


def _open(program: GraphModule, layer: Layer) -> None:
    """ReLU6 behind the layer becomes ReLU."""
    node = layer.output
    if node.target in RELU6:
        node.target, node.args, node.kwargs = aten.relu.default, node.args[:1], {}


def _share(first: Layer, last: Layer) -> float:
    """One step for a pair; the logarithm of the largest factor."""
    made = first.weight.abs().flatten(1).amax(1)
    taken = _taken(last)
    alive = (made > SMALLEST) & (taken > SMALLEST)
    factor = torch.where(alive, (made / taken.clamp_min(SMALLEST)).sqrt().clamp(1 / LIMIT, LIMIT), 1.0)
    first.weight.div_(factor.reshape(-1, *[1] * (first.weight.ndim - 1)))
    if first.bias is not None:
        first.bias.div_(factor)
    per_group = last.weight.shape[1]
    spread = factor.reshape(last.groups, 1, per_group)
    by_group = last.weight.reshape(last.groups, -1, per_group, *last.weight.shape[2:])
    by_group.mul_(spread.reshape(*spread.shape, *[1] * (last.weight.ndim - 2)))
    return float(factor.log().abs().max())


def _taken(layer: Layer) -> Tensor:
    """The range of the weights on each input channel, (I,)."""
    per_group = layer.weight.shape[1]
    by_group = layer.weight.reshape(layer.groups, -1, per_group, layer.weight[0, 0].numel())
    return by_group.abs().amax((1, 3)).flatten()
