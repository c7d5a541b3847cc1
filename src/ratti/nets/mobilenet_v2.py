"""MobileNetV2: inverted residuals with ReLU6 and linear bottlenecks.

Sandler, Howard, Zhu, Zhmoginov, Chen 2018, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2. The last
convolution keeps 1280 channels where the multiplier is below 1, as in the paper. Inputs of at most 32 pixels keep a
last map of 4x4 by the rule of `_scale.adapted_strides`.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, InvertedResidual
from ._layers import Activation, Conv, Fc, Mean
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 1000
EXAMPLE = "mobilenet_v2-0.35-96"
STEM, HEAD = 32, 1280
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# expansion t, channels c, repetitions n, stride s of the first


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, *stage_strides = adapted_strides((2, *(s for *_, s in STAGES)), min(shape[:2]))
    channels = scaled(STEM, width)
    net: list[Block] = [Conv(channels, (3, 3), (stem_stride, stem_stride), activation=Activation.RELU6)]
    for (expansion, stage_width, repetitions, _), stage_stride in zip(STAGES, stage_strides, strict=True):
        for i in range(repetitions):
            out, stride = scaled(stage_width, width), stage_stride if i == 0 else 1
            hidden = channels * expansion if expansion > 1 else None
            net.append(InvertedResidual(hidden, out, stride=(stride, stride), residual=stride == 1 and channels == out))
            channels = out
    head = scaled(HEAD, max(1.0, width))
    return (*net, Conv(head, activation=Activation.RELU6), Mean(), Fc(classes))
