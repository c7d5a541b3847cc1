"""MobileNetV1: a strided convolution and 13 depthwise separable blocks.

Howard et al. 2017, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", table 1.
Inputs of at most 32 pixels keep a last map of 4x4 by the rule of `_scale.adapted_strides`.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, Separable
from ._layers import Activation, Conv, Fc, Mean
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 1000
EXAMPLE = "mobilenet_v1-0.25-96"
STEM = 32
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
# channels, stride


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, *strides = adapted_strides((2, *(s for _, s in BLOCKS)), min(shape[:2]))
    stem = Conv(scaled(STEM, width), (3, 3), (stem_stride, stem_stride), activation=Activation.RELU)
    body = (Separable(scaled(c, width), stride=(s, s)) for (c, _), s in zip(BLOCKS, strides, strict=True))
    return (stem, *body, Mean(), Fc(classes))
