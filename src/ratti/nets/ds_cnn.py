"""DS-CNN: depthwise separable net for keyword spotting on spectrograms of (frames, coefficients, 1).

Zhang, Suda, Lai, Chandra 2017, "Hello Edge: Keyword Spotting on Microcontrollers"; width 1.0 is the small variant as
MLPerf Tiny has it (Banbury et al. 2021): a 10x4 convolution with stride 2x2 and four 3x3 separable blocks of 64.
The id's number is that of the frames; 49 frames of 10 coefficients unless the data says otherwise.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, Separable
from ._layers import Activation, Conv, Fc, Mean
from ._scale import scaled

DEFAULT_CLASSES = 12
EXAMPLE = "ds_cnn-1.0-49"
COEFFICIENTS = 10
WIDTH, BLOCKS = 64, 4


def input_shape(resolution: int) -> Shape:
    return resolution, COEFFICIENTS, 1


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    channels = scaled(WIDTH, width)
    stem = Conv(channels, (10, 4), (2, 2), activation=Activation.RELU)
    return (stem, *(Separable(channels) for _ in range(BLOCKS)), Mean(), Fc(classes))
