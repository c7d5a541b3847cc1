"""MobileNetV2 cut off at an eighth of the resolution, with a small head: a class for each cell of 8x8 pixels.

After Edge Impulse's description of FOMO ("Faster Objects, More Objects", docs.edgeimpulse.com): MobileNetV2 up to the
expansion of the first block at 1/16, here up to the last block at 1/8; a 1x1 convolution of 32 channels, a 1x1 to the
classes, background among them. Logits come as (rows * columns * classes,). Blocks and stages: see `mobilenet_v2`.
"""

from __future__ import annotations

from ..types import Shape
from . import mobilenet_v2
from ._blocks import Block, InvertedResidual
from ._layers import Activation, Conv, Flatten
from ._scale import scaled

DEFAULT_CLASSES = 2
EXAMPLE = "fomo-0.35-96"
GOAL = "centroids"
HEAD = 32
STAGES = mobilenet_v2.STAGES[:3]  # 1/2, 1/4, 1/8


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    channels = scaled(mobilenet_v2.STEM, width)
    net: list[Block] = [Conv(channels, (3, 3), (2, 2), activation=Activation.RELU6)]
    for expansion, stage_width, repetitions, stage_stride in STAGES:
        for i in range(repetitions):
            out, stride = scaled(stage_width, width), stage_stride if i == 0 else 1
            hidden = channels * expansion if expansion > 1 else None
            net.append(InvertedResidual(hidden, out, stride=(stride, stride), residual=stride == 1 and channels == out))
            channels = out
    return (*net, Conv(HEAD, activation=Activation.RELU6), Conv(classes, batch_norm=False), Flatten())
