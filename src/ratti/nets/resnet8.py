"""ResNet8: the image classifier of MLPerf Tiny (32x32x3, 10 classes).

He, Zhang, Ren, Sun 2016, "Deep Residual Learning for Image Recognition", reduced to three stages of one block by
Banbury et al. 2021, "MLPerf Tiny Benchmark".
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, Residual
from ._layers import Activation, Conv, Fc, Mean
from ._scale import scaled

DEFAULT_CLASSES = 10
EXAMPLE = "resnet8-1.0-32"
STAGES = ((16, 1), (32, 2), (64, 2))  # channels, stride


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    widths = [scaled(c, width, 4) for c, _ in STAGES]
    stem = Conv(widths[0], (3, 3), activation=Activation.RELU)
    body = (Residual(c, c, (s, s), projection=s > 1) for c, (_, s) in zip(widths, STAGES, strict=True))
    return (stem, *body, Mean(), Fc(classes))
