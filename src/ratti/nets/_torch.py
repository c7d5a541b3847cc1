"""The torch side of the layers and blocks: modules whose structure and names follow the spec.

Parameter names are `b<block from 1>.<layer>.…`, as in `NetSpec.layers`; they are the keys of `weights.safetensors`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..types import Shape
from ._joins import Add, Channels, Concat, GlobalMean, Scale, Shuffle
from ._layers import INPUT, NUMBERS, Activation, Conv, Fc, Flatten, Layer, Mean, Pool, PoolKind, Wire
from ._spec import NetSpec, wired

ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    Activation.NONE: nn.Identity,
    Activation.RELU: nn.ReLU,
    Activation.RELU6: nn.ReLU6,
    Activation.HARD_SWISH: nn.Hardswish,
}


class Net(nn.Module):
    """(N, C, H, W) float32, and (N, numbers) where the spec has numbers, to (N, classes) logits."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        for number, (block, shape) in enumerate(zip(spec.blocks, spec.shapes, strict=False), 1):
            self.add_module(f"b{number:02d}", BlockModule(block.wires(shape), shape, spec.numbers))

    @classmethod
    def seeded(cls, spec: NetSpec, seed: int | None) -> Net:
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            return cls(spec)

    def forward(self, x: Tensor, numbers: Tensor | None = None) -> Tensor:
        for block in self.children():
            x = block(x, numbers)
        return x


class BlockModule(nn.Module):
    """The layers of one block, called in order."""

    def __init__(self, wires: tuple[Wire, ...], shape: Shape, numbers: int) -> None:
        super().__init__()
        shapes = wired(wires, shape, numbers)
        self._inputs = [w.inputs for w in wires]
        for wire in wires:
            self.add_module(wire.name, MODULES[type(wire.layer)](wire.layer, *(shapes[i] for i in wire.inputs)))
        if isinstance(wires[-1].layer, Add):
            self._start_as_shortcut(wires[-1].inputs[0])

    def _start_as_shortcut(self, body: str) -> None:
        """The body's last batch norm starts at 0, so that a deep net learns from its shortcuts first.

        Goyal et al. 2017, "Accurate, Large Minibatch SGD", section 5.1. On 2,960 pictures of leaves MobileNetV2 reaches
        51 % instead of 29 % after five epochs.
        """
        norm = getattr(self.get_submodule(body), "norm", None)
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.zeros_(norm.weight)

    def forward(self, x: Tensor, numbers: Tensor | None = None) -> Tensor:
        values: dict[str, Any] = {INPUT: x, NUMBERS: numbers}
        for (name, module), inputs in zip(self.named_children(), self._inputs, strict=True):
            x = values[name] = module(*(values[i] for i in inputs))
        return x


class _Conv(nn.Conv2d):
    """Convolution, batch normalization, activation."""

    def __init__(self, layer: Conv, shape: Shape) -> None:
        top, bottom, left, right = layer.explicit_pads
        even = top == bottom and left == right  # torch pads evenly; the rest needs a step of its own
        super().__init__(shape[2], layer.width, layer.kernel, layer.stride, (top, left) if even else 0, layer.dilation,
                         layer.groups, bias=not layer.batch_norm)
        fan_out = math.prod(layer.kernel) * layer.width / layer.groups
        nn.init.normal_(self.weight, 0.0, math.sqrt(2 / fan_out))  # He et al. 2015
        if self.bias is not None and layer.bias_start:
            nn.init.constant_(self.bias, layer.bias_start)
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
    def __init__(self, layer: Add, *shapes: Shape) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[layer.activation]()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        z: Tensor = self.activation(x + y)
        return z


class _Concat(nn.Module):
    def __init__(self, layer: Concat, *shapes: Shape) -> None:
        super().__init__()
        self.activation = ACTIVATIONS[layer.activation]()

    def forward(self, *inputs: Tensor) -> Tensor:
        y: Tensor = self.activation(torch.cat(inputs, 1))
        return y


class _Scale(nn.Module):
    def forward(self, x: Tensor, gate: Tensor) -> Tensor:
        return x * gate


class _Channels(nn.Module):
    def __init__(self, layer: Channels, shape: Shape) -> None:
        super().__init__()
        self.begin, self.end = layer.begin, layer.end

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.begin : self.end]


class _Shuffle(nn.Module):
    def __init__(self, layer: Shuffle, shape: Shape) -> None:
        super().__init__()
        self.groups = layer.groups

    def forward(self, x: Tensor) -> Tensor:
        channels, height, width = x.shape[1:]
        split = x.reshape(-1, self.groups, channels // self.groups, height, width)
        return split.transpose(1, 2).reshape(-1, channels, height, width)


class _Mean(nn.Module):
    def __init__(self, keep: bool) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=self.keep)


class _FlattenNhwc(nn.Module):
    """Flattens in NHWC order, so that the deployed net needs no transposition."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def _pool(layer: Pool, shape: Shape) -> nn.Module:
    pads = (layer.pads[0], layer.pads[2])
    if layer.kind is PoolKind.MAX:
        return nn.MaxPool2d(layer.kernel, layer.strides, pads)
    return nn.AvgPool2d(layer.kernel, layer.strides, pads, count_include_pad=False)


MODULES: dict[type[Layer], Callable[..., nn.Module]] = {
    Conv: _Conv,
    Pool: _pool,
    Mean: lambda layer, shape: _Mean(keep=False),
    GlobalMean: lambda layer, shape: _Mean(keep=True),
    Flatten: lambda layer, shape: _FlattenNhwc(),
    Fc: _Fc,
    Add: _Add,
    Concat: _Concat,
    Scale: lambda layer, *shapes: _Scale(),
    Channels: _Channels,
    Shuffle: _Shuffle,
}
