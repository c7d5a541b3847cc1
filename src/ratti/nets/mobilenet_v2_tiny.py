"""A shortened MobileNetV2 for inputs of 8 to 48 pixels: the paper's blocks and rules, fewer and narrower stages.

Blocks from Sandler et al. 2018 (see `mobilenet_v2`); the table is ratti's own, made for scikit-learn's digits and parts
with 8 KB of RAM or more. Expansion 4 instead of 6, two strided stages, and a last convolution of 64 channels.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, InvertedResidual
from ._layers import Activation, Conv, Fc, Mean
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 10
EXAMPLE = "mobilenet_v2_tiny-1.0-8"
STEM, HEAD = 16, 64
STAGES = ((1, 12, 1, 1), (4, 20, 2, 2), (4, 28, 2, 2))  # expansion, channels, repetitions, stride


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    strides = adapted_strides((2, *(s for *_, s in STAGES)), min(shape[:2]), smallest_map=2)
    channels = scaled(STEM, width, 4)
    net: list[Block] = [Conv(channels, (3, 3), (strides[0], strides[0]), activation=Activation.RELU6)]
    for (expansion, stage_width, repetitions, _), stage_stride in zip(STAGES, strides[1:], strict=True):
        for i in range(repetitions):
            out, stride = scaled(stage_width, width, 4), stage_stride if i == 0 else 1
            hidden = channels * expansion if expansion > 1 else None
            net.append(InvertedResidual(hidden, out, stride=(stride, stride), residual=stride == 1 and channels == out))
            channels = out
    return (*net, Conv(scaled(HEAD, width, 4), activation=Activation.RELU6), Mean(), Fc(classes))
