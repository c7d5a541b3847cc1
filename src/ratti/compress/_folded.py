"""A float program with batch normalization folded, and its layers: where the methods of PTQ look and change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node
from torchao.quantization.pt2e.utils import _fuse_conv_bn_

from ..types import Array
from .quantizer import ACTIVATIONS, LINEAR, SMALLEST_WEIGHT_SCALE, WEIGHT_MAX, aten, place

Batches = Iterable[tuple[Tensor, ...]]


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution or fully connected layer of a program; its tensors are changed in place."""

    node: Node
    weight: Tensor  # (O, I / groups, H, W) or (O, I)
    bias: Tensor | None  # (O,)

    @property
    def name(self) -> str:
        """The path of its module."""
        return place(self.node).partition(" ")[0]

    @property
    def input(self) -> Node:
        source = self.node.args[0]
        assert isinstance(source, Node)
        return source

    @property
    def groups(self) -> int:
        convolution = self.node.target != aten.linear.default
        return int(self.node.args[6]) if convolution and len(self.node.args) > 6 else 1  # type: ignore[arg-type]

    @property
    def output(self) -> Node:
        """What int8 holds of it: the activation behind it, where one follows alone."""
        users = list(self.node.users)
        return users[0] if len(users) == 1 and users[0].target in ACTIVATIONS else self.node

    def compute(self, x: Tensor, weight: Tensor) -> Tensor:
        """The layer on `x` with other weights."""
        rest = [None if isinstance(a, Node) else a for a in self.node.args[3:]]
        y: Tensor = self.node.target(x, weight, self.bias, *rest)  # type: ignore[operator]
        return y


def fold(program: GraphModule) -> tuple[Layer, ...]:
    """Folds batch normalization in place; the layers in order."""
    _fuse_conv_bn_(program)
    return tuple(
        Layer(node, _tensor(program, node.args[1]), _tensor(program, node.args[2]) if _has_bias(node) else None)
        for node in program.graph.nodes if node.target in LINEAR)


def _has_bias(node: Node) -> bool:
    return len(node.args) > 2 and isinstance(node.args[2], Node)


def _tensor(program: GraphModule, node: Any) -> Tensor:
    found: Any = program
    for part in str(node.target).split("."):
        found = getattr(found, part)
    assert isinstance(found, Tensor)
    return found.data


def watch(program: GraphModule, batches: Batches, see: Mapping[Node, Callable[[Tensor], None]]) -> None:
    """Runs `batches` and shows the output of each node in `see` to its function."""

    class Watcher(Interpreter):
        def run_node(self, n: Node) -> Any:
            result = super().run_node(n)
            if n in see:
                see[n](result)
            return result

    with torch.no_grad():
        for batch in batches:
            Watcher(program).run(*batch)


def weight_scale(weight: Tensor) -> Tensor:
    """Scales of the output channels, shaped to divide `weight`: as the quantizer's observer will find them."""
    largest = weight.abs().flatten(1).amax(1) / WEIGHT_MAX
    return largest.clamp_min(SMALLEST_WEIGHT_SCALE).reshape(-1, *[1] * (weight.ndim - 1))


def rounded(weight: Tensor) -> Tensor:
    """The weights that int8 holds."""
    scale = weight_scale(weight)
    return torch.round(weight / scale).clamp(-WEIGHT_MAX, WEIGHT_MAX) * scale


def as_array(values: Tensor) -> Array:
    array: Array = values.detach().numpy()
    return array
