"""A perceptron of two hidden layers, for windows of few numbers: the yardstick that a convolution must beat."""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block
from ._layers import Activation, Fc, Flatten
from ._scale import scaled

DEFAULT_CLASSES = 10
EXAMPLE = "mlp-1.0-8"
HIDDEN = (64, 32)


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 1


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    hidden = (Fc(scaled(h, width, 4), Activation.RELU) for h in HIDDEN)
    return (Flatten(), *hidden, Fc(classes))
