"""A small MobileNetV2 over time, for windows of sensors and waveforms: (samples, 1, channels).

The blocks of Sandler et al. 2018 (see `mobilenet_v2`) with kernels along time alone; the table is ratti's own. A
strided convolution of 9 samples, then inverted residuals of 5 and 7.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, InvertedResidual
from ._layers import Activation, Conv, Fc, Mean
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 4
EXAMPLE = "mobilenet_v2_1d-1.0-128"
STEM, HEAD = 16, 96
STAGES = ((1, 16, 1, 1, 5), (4, 24, 2, 2, 5), (4, 32, 3, 2, 7), (4, 48, 2, 2, 7))
# expansion, channels, repetitions, stride of the first, kernel


def input_shape(resolution: int) -> Shape:
    return resolution, 1, 1


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, *strides = adapted_strides((2, *(s for _, _, _, s, _ in STAGES)), shape[0], up_to=64)
    channels = scaled(STEM, width, 4)
    net: list[Block] = [Conv(channels, (9, 1), (stem_stride, 1), activation=Activation.RELU6)]
    for (expansion, stage_width, repetitions, _, kernel), stage_stride in zip(STAGES, strides, strict=True):
        for i in range(repetitions):
            out, stride = scaled(stage_width, width, 4), stage_stride if i == 0 else 1
            hidden = channels * expansion if expansion > 1 else None
            net.append(InvertedResidual(hidden, out, (kernel, 1), (stride, 1), stride == 1 and channels == out))
            channels = out
    return (*net, Conv(scaled(HEAD, width, 4), activation=Activation.RELU6), Mean(), Fc(classes))
