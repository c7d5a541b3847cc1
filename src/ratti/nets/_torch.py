"""The torch side of the layers and blocks: modules whose structure and names follow the spec.

Parameter names are `b<block from 1>.<layer>.…`, as in `NetSpec.layers`; they are the keys of `weights.safetensors`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..types import Shape
from ._blocks import Block
from ._layers import Activation, Conv, Fc, Flatten, Layer, Mean, Pool, PoolKind
from ._spec import NetSpec

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    Activation.NONE: nn.Identity,
    Activation.RELU: nn.ReLU,
    Activation.RELU6: nn.ReLU6,
}


class Net(nn.Module):
    """(N, C, H, W) float32 to (N, classes) logits."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        for number, (block, shape) in enumerate(zip(spec.blocks, spec.shapes, strict=False), 1):
            self.add_module(f"b{number:02d}", BlockModule(block, shape))

    @classmethod
    def seeded(cls, spec: NetSpec, seed: int | None) -> Net:
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            return cls(spec)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.children():
            x = block(x)
        return x


class BlockModule(nn.Module):
    """The layers of one block, and the addition where it has a shortcut."""

    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        shortcut = block.shortcut(shape)
        self._body = self._add_layers(block.body(shape), shape)
        self._shortcut = self._add_layers(shortcut or {}, shape)
        if shortcut is not None:
            self.add = _Add(block.activation_after)
            self._start_as_shortcut()

    def _add_layers(self, layers: Mapping[str, Layer], shape: Shape) -> tuple[str, ...]:
        for name, layer in layers.items():
            self.add_module(name, MODULES[type(layer)](layer, shape))
            shape = layer.output_shape(shape)
        return tuple(layers)

    def _start_as_shortcut(self) -> None:
        """The body's last batch norm starts at 0, so that a deep net learns from its shortcuts first.

        Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 5.1. On 2,960 pictures of leaves MobileNetV2 reaches
        51 % instead of 29 % after five epochs.
        """
        norm = getattr(self.get_submodule(self._body[-1]), "norm", None)
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.zeros_(norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = shortcut = x
        for name in self._body:
            y = self.get_submodule(name)(y)
        for name in self._shortcut:
            shortcut = self.get_submodule(name)(shortcut)
        return self.add(y, shortcut) if hasattr(self, "add") else y


class _Conv(nn.Conv2d):
    """Convolution, batch normalization, activation."""

    def __init__(self, layer: Conv, shape: Shape) -> None:
        top, bottom, left, right = layer.explicit_pads
        even = top == bottom and left == right  # torch pads evenly; the rest needs a step of its own
        super().__init__(shape[2], layer.width, layer.kernel, layer.stride, (top, left) if even else 0, layer.dilation,
                         layer.groups, bias=not layer.batch_norm)
        fan_out = math.prod(layer.kernel) * layer.width / layer.groups
        nn.init.normal_(self.weight, 0.0, math.sqrt(2 / fan_out))  # He et al. 2015
        self.uneven = nn.Identity() if even else nn.ZeroPad2d((left, right, top, bottom))
        self.norm = nn.BatchNorm2d(layer.width) if layer.batch_norm else nn.Identity()
        self.activation = ACTIVATIONS[layer.activation]()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.norm(super().forward(self.uneven(x))))
        return y


class _Fc(nn.Linear):
    def __init__(self, layer: Fc, shape: Shape) -> None:
        super().__init__(shape[0], layer.width)
        self.activation = ACTIVATIONS[layer.activation]()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(super().forward(x))
        return y


class _Add(nn.Module):
    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        z: Tensor = self.activation(x + y)
        return z


class _Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class _FlattenNhwc(nn.Module):
    """Flattens in NHWC order, so that the deployed net needs no transposition."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def _pool(layer: Pool, shape: Shape) -> nn.Module:
    if layer.kind is PoolKind.MAX:
        return nn.MaxPool2d(layer.kernel, layer.strides, (layer.pads[0], layer.pads[2]))
    return nn.AvgPool2d(layer.kernel, layer.strides)


MODULES: dict[type[Layer], Callable[[Any, Shape], nn.Module]] = {
    Conv: _Conv,
    Pool: _pool,
    Mean: lambda layer, shape: _Mean(),
    Flatten: lambda layer, shape: _FlattenNhwc(),
    Fc: _Fc,
}
