"""Blocks shared by the families: each says which primitive layers it is made of. Every width is explicit.

A block is a body of layers, an optional shortcut that is added to the body's output (an empty one is the identity),
and an activation after the addition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..types import Shape
from ._layers import Activation, Conv, Fc, Flatten, Layer, Mean, Pair, Pool


class Block(Protocol):
    """What `NetSpec` holds: the layers of this module and of `_layers`."""

    def body(self, shape: Shape) -> Mapping[str, Layer]:
        """The layers by name, in order, on an input of `shape`."""

    def shortcut(self, shape: Shape) -> Mapping[str, Layer] | None:
        """The layers between the input and the addition; an empty one is the identity, None no addition."""

    @property
    def activation_after(self) -> Activation:
        """What follows the addition."""


def depthwise(shape: Shape, kernel: Pair, stride: Pair, activation: Activation) -> Conv:
    """A depthwise convolution on an input of `shape`."""
    channels = shape[-1]
    return Conv(channels, kernel, stride, groups=channels, activation=activation)


@dataclass(frozen=True)
class Separable:
    """Depthwise, then pointwise convolution (Howard et al. 2017)."""

    width: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    activation: Activation = Activation.RELU

    def body(self, shape: Shape) -> Mapping[str, Layer]:
        return {
            "depthwise": depthwise(shape, self.kernel, self.stride, self.activation),
            "pointwise": Conv(self.width, activation=self.activation),
        }

    def shortcut(self, shape: Shape) -> Mapping[str, Layer] | None:
        return None

    @property
    def activation_after(self) -> Activation:
        return Activation.NONE


@dataclass(frozen=True)
class InvertedResidual:
    """Expansion to `hidden`, depthwise, linear projection to `width` (Sandler et al. 2018).

    `hidden` None leaves the expansion out (t = 1 in the paper). `residual` adds the input, which needs stride 1 and
    an input of `width` channels; it is said, not inferred, so that pruning one width cannot add an addition elsewhere.
    """

    hidden: int | None
    width: int
    kernel: Pair = (3, 3)
    stride: Pair = (1, 1)
    residual: bool = False
    activation: Activation = Activation.RELU6

    def body(self, shape: Shape) -> Mapping[str, Layer]:
        expansion = {} if self.hidden is None else {"expand": Conv(self.hidden, activation=self.activation)}
        inner = (*shape[:-1], self.hidden or shape[-1])
        return {
            **expansion,
            "depthwise": depthwise(inner, self.kernel, self.stride, self.activation),
            "project": Conv(self.width),
        }

    def shortcut(self, shape: Shape) -> Mapping[str, Layer] | None:
        return {} if self.residual else None

    @property
    def activation_after(self) -> Activation:
        return Activation.NONE


@dataclass(frozen=True)
class Residual:
    """Two 3x3 convolutions and an addition (He et al. 2016); `projection` puts a strided 1x1 on the shortcut."""

    hidden: int
    width: int
    stride: Pair = (1, 1)
    projection: bool = False
    activation: Activation = Activation.RELU

    def body(self, shape: Shape) -> Mapping[str, Layer]:
        return {
            "first": Conv(self.hidden, (3, 3), self.stride, activation=self.activation),
            "second": Conv(self.width, (3, 3)),
        }

    def shortcut(self, shape: Shape) -> Mapping[str, Layer] | None:
        return {"shortcut": Conv(self.width, stride=self.stride, batch_norm=False)} if self.projection else {}

    @property
    def activation_after(self) -> Activation:
        return self.activation


BLOCKS: dict[str, type] = {
    "conv": Conv,
    "separable": Separable,
    "inverted_residual": InvertedResidual,
    "residual": Residual,
    "pool": Pool,
    "mean": Mean,
    "flatten": Flatten,
    "fc": Fc,
}
