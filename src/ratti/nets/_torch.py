"""The torch side of the layers and blocks: modules whose structure follows the spec."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ..types import Shape
from ._blocks import Block
from ._layers import Activation, Conv, Fc, Flatten, Layer, Mean, Pool, PoolKind
from ._spec import NetSpec

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    Activation.NONE: nn.Identity,
    Activation.RELU: nn.ReLU,
    Activation.RELU6: nn.ReLU6,
}


class Net(nn.Module):
    """(N, C, H, W) float32 to (N, classes) logits."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        self.spec = spec
        self.blocks = nn.Sequential(*(_BlockModule(b, s) for b, s in zip(spec.blocks, spec.shapes, strict=False)))

    @classmethod
    def seeded(cls, spec: NetSpec, seed: int | None) -> Net:
        with torch.random.fork_rng(devices=[], enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            return cls(spec)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(x)
        return y


class _BlockModule(nn.Module):
    def __init__(self, block: Block, shape: Shape) -> None:
        super().__init__()
        self.body = _sequence(block.body(shape), shape)
        shortcut = block.shortcut(shape)
        self.shortcut = None if shortcut is None else _sequence(shortcut, shape)
        self.after = ACTIVATIONS[block.activation_after]()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        y = self.after(y)
        return y


def _sequence(layers: tuple[Layer, ...], shape: Shape) -> nn.Sequential:
    modules = []
    for layer in layers:
        modules.append(MODULES[type(layer)](layer, shape))
        shape = layer.output_shape(shape)
    return nn.Sequential(*modules)


def _conv(layer: Conv, shape: Shape) -> nn.Module:
    top, bottom, left, right = layer.explicit_pads
    even = top == bottom and left == right  # torch pads evenly; the rest needs a layer of its own
    conv = nn.Conv2d(shape[2], layer.width, layer.kernel, layer.stride, (top, left) if even else 0, layer.dilation,
                     layer.groups, bias=not layer.batch_norm)
    fan_out = math.prod(layer.kernel) * layer.width / layer.groups
    nn.init.normal_(conv.weight, 0.0, math.sqrt(2 / fan_out))  # He et al. 2015
    modules = [] if even else [nn.ZeroPad2d((left, right, top, bottom))]
    modules += [conv, nn.BatchNorm2d(layer.width)] if layer.batch_norm else [conv]
    return nn.Sequential(*modules, ACTIVATIONS[layer.activation]())


def _pool(layer: Pool, shape: Shape) -> nn.Module:
    pad = (layer.pads[0], layer.pads[2])
    if layer.kind is PoolKind.MAX:
        return nn.MaxPool2d(layer.kernel, layer.strides, pad)
    return nn.AvgPool2d(layer.kernel, layer.strides)


class _Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class _FlattenNhwc(nn.Module):
    """Flattens in NHWC order, so that the deployed net needs no transposition."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).flatten(1)


def _fc(layer: Fc, shape: Shape) -> nn.Module:
    return nn.Sequential(nn.Linear(shape[0], layer.width), ACTIVATIONS[layer.activation]())


MODULES = {
    Conv: _conv,
    Pool: _pool,
    Mean: lambda layer, shape: _Mean(),
    Flatten: lambda layer, shape: _FlattenNhwc(),
    Fc: _fc,
}
