"""Nets for parts with 2 KB of RAM, 16 KB of flash and no multiply instruction, such as the CH32V003.

ratti's own table from the blocks of Howard et al. 2017: a strided convolution, two separable blocks, mean, fc. At 8x8x1
and width 1.0: see `ratti.nets.spec("micro-1.0-8")` for MACs and parameters; no two neighboring maps together exceed
1 KB. The strided convolution brings inputs of any size down before the first wide map.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, Separable
from ._layers import Activation, Conv, Fc, Mean
from ._scale import scaled

DEFAULT_CLASSES = 10
EXAMPLE = "micro-1.0-8"
STEM, FIRST, SECOND = 16, 32, 48


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 1


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride = max(2, min(shape[:2]) // 4)
    return (
        Conv(scaled(STEM, width, 4), (3, 3), (stem_stride, stem_stride), activation=Activation.RELU),
        Separable(scaled(FIRST, width, 4)),
        Separable(scaled(SECOND, width, 4), stride=(2, 2)),
        Mean(),
        Fc(classes),
    )
