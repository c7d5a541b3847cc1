"""A depthwise separable net over time, for windows of sensors and waveforms: (samples, 1, channels).

The blocks of Zhang et al. 2017 (`ds_cnn`) with kernels along time alone; the table is ratti's own. A strided
convolution of 9 samples, then separable blocks of 7; every second one halves the length.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, Separable
from ._layers import Activation, Conv, Fc, Mean
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 4
EXAMPLE = "ds_cnn_1d-1.0-128"
STEM = 16
STAGES = ((24, 1), (32, 2), (48, 1), (64, 2), (64, 1))  # channels, stride


def input_shape(resolution: int) -> Shape:
    return resolution, 1, 1


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, *strides = adapted_strides((2, *(s for _, s in STAGES)), shape[0], up_to=64)
    stem = Conv(scaled(STEM, width, 4), (9, 1), (stem_stride, 1), activation=Activation.RELU)
    body = (Separable(scaled(c, width, 4), (7, 1), (s, 1)) for (c, _), s in zip(STAGES, strides, strict=True))
    return (stem, *body, Mean(), Fc(classes))
