"""Primitive layers: what a net is made of after its blocks are taken apart. Shapes, MACs and parameters without torch.

Those of one input are also blocks of their own, so that a net can name them. A shape here is (H, W, C), or (C,) once H
and W are gone. Parameters are counted as deployed: weights and biases with batch normalization folded in. Layers of
several inputs are in `_joins`.
"""

from __future__ import annotations

import enum
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..types import Shape

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]  # top, bottom, left, right


class SpecError(ValueError):
    """A layer that cannot follow what stands before it; the message says why."""


class Activation(enum.Enum):
    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"
    HARD_SWISH = "hard_swish"  # x * relu6(x + 3) / 6: an op of its own behind the layer, the others are part of it


class PoolKind(enum.Enum):
    MAX = "max"
    AVERAGE = "average"


INPUT = "input"  # what a block is given
NUMBERS = "numbers"  # the net's second input


@dataclass(frozen=True)
class Wire:
    """One layer of a block, and what it reads: names of earlier wires of the block, INPUT or NUMBERS."""

    name: str
    layer: Layer
    inputs: tuple[str, ...] = (INPUT,)


def chain(layers: Mapping[str, Layer], source: str = INPUT) -> tuple[Wire, ...]:
    """Layers one behind the other."""
    wires: list[Wire] = []
    for name, layer in layers.items():
        wires.append(Wire(name, layer, (wires[-1].name if wires else source,)))
    return tuple(wires)


@dataclass(frozen=True)
class Layer(ABC):
    """A primitive layer, and a block that holds only itself. Most take one input."""

    @abstractmethod
    def output_shape(self, *shapes: Shape) -> Shape:
        """The shape after this layer; SpecError where it cannot take `shapes`, one for each input."""

    def macs(self, *shapes: Shape) -> int:
        """Multiply-accumulates of one inference on inputs of `shapes`."""
        return 0

    def parameters(self, *shapes: Shape) -> int:
        """Weights and biases as deployed, on inputs of `shapes`."""
        return 0

    def wires(self, shape: Shape) -> tuple[Wire, ...]:
        """The block that is this layer alone."""
        return (Wire(type(self).__name__.lower(), self),)

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> Layer:
        """The layer with another width, where it has one."""
        (width,) = widths.values()
        return replace(self, width=width)  # type: ignore[call-arg]  # only convolutions and fc have channels of their own


@dataclass(frozen=True)
class Conv(Layer):
    """Convolution, batch normalization, activation. Depthwise where `groups` equals the input's channels.

    `pads` None pads as "same" does, evenly on both sides; where the sum is odd, the bottom and right get one more.
    """

    width: int
    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1
    pads: Pads | None = None
    activation: Activation = Activation.NONE
    batch_norm: bool = True
    bias_start: float = 0.0  # of the bias, where there is no batch normalization

    def __post_init__(self) -> None:
        if min(self.width, self.groups, *self.kernel, *self.stride, *self.dilation) < 1:
            raise SpecError("width, kernel, stride, dilation and groups must be at least 1")
        if self.pads is not None and min(self.pads) < 0:
            raise SpecError(f"pads must be 0 or more, not {list(self.pads)}")
        if self.width % self.groups:
            raise SpecError(f"{self.groups} groups do not divide a width of {self.width}")

    @property
    def explicit_pads(self) -> Pads:
        if self.pads is not None:
            return self.pads
        total = [d * (k - 1) for k, d in zip(self.kernel, self.dilation, strict=True)]
        return total[0] // 2, total[0] - total[0] // 2, total[1] // 2, total[1] - total[1] // 2

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        _, _, channels = spatial(shape)
        if channels % self.groups:
            raise SpecError(f"{self.groups} groups do not divide {channels} input channels")
        return (*_windows(shape, self.kernel, self.stride, self.dilation, self.explicit_pads), self.width)

    def macs(self, *shapes: Shape) -> int:
        (shape,) = shapes
        return math.prod(self.output_shape(shape)) * self._weights_per_output(shape)

    def parameters(self, *shapes: Shape) -> int:
        (shape,) = shapes
        return self.width * self._weights_per_output(shape) + self.width

    def resized(self, widths: Mapping[str, int], taken: Mapping[str, int]) -> Conv:
        depthwise = self.groups > 1 and self.groups == self.width
        return replace(self, width=widths["conv"], groups=widths["conv"] if depthwise else self.groups)

    def _weights_per_output(self, shape: Shape) -> int:
        return math.prod(self.kernel) * (shape[2] // self.groups)


@dataclass(frozen=True)
class Pool(Layer):
    """Maximum or average over windows; an average divides by the positions inside the input."""

    kind: PoolKind
    kernel: Pair
    stride: Pair | None = None  # None: the kernel
    pads: Pads = (0, 0, 0, 0)

    def __post_init__(self) -> None:
        if min(*self.kernel, *self.strides) < 1:
            raise SpecError("kernel and stride must be at least 1")
        top, bottom, left, right = self.pads
        too_far = 2 * top > self.kernel[0] or 2 * left > self.kernel[1]  # torch's limit
        if min(self.pads) < 0 or top != bottom or left != right or too_far:
            raise SpecError(f"pads of a pool must be equal on both sides and at most half the kernel, "
                            f"not {list(self.pads)}")

    @property
    def strides(self) -> Pair:
        return self.stride or self.kernel

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return (*_windows(shape, self.kernel, self.strides, (1, 1), self.pads), spatial(shape)[2])


@dataclass(frozen=True)
class Mean(Layer):
    """Mean over H and W: (H, W, C) to (C,)."""

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return (spatial(shape)[2],)


@dataclass(frozen=True)
class Flatten(Layer):
    """(H, W, C) to (H * W * C,), in NHWC order."""

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return (math.prod(spatial(shape)),)


@dataclass(frozen=True)
class Fc(Layer):
    """Fully connected layer and activation: (I,) to (width,)."""

    width: int
    activation: Activation = Activation.NONE

    def __post_init__(self) -> None:
        if self.width < 1:
            raise SpecError(f"width must be at least 1, not {self.width}")

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(shape) != 1:
            raise SpecError(f"a fully connected layer takes (C,), not {shape}: put mean or flatten before it")
        return (self.width,)

    def macs(self, *shapes: Shape) -> int:
        (shape,) = shapes
        return shape[0] * self.width

    def parameters(self, *shapes: Shape) -> int:
        (shape,) = shapes
        return shape[0] * self.width + self.width


def spatial(shape: Shape) -> tuple[int, int, int]:
    """(H, W, C), or SpecError."""
    if len(shape) != 3:
        raise SpecError(f"it takes (H, W, C), but H and W are gone: {shape}")
    return shape[0], shape[1], shape[2]


def _windows(shape: Shape, kernel: Pair, stride: Pair, dilation: Pair, pads: Pads) -> Pair:
    height, width, _ = spatial(shape)
    sizes = []
    for size, k, s, d, pad in ((height, kernel[0], stride[0], dilation[0], pads[0] + pads[1]),
                               (width, kernel[1], stride[1], dilation[1], pads[2] + pads[3])):
        reach = d * (k - 1) + 1
        if size + pad < reach:
            raise SpecError(f"a window of {kernel[0]}x{kernel[1]} does not fit an input of {height}x{width}")
        sizes.append((size + pad - reach) // s + 1)
    return sizes[0], sizes[1]
