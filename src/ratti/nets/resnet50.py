"""ResNet-50: what does not fit a microcontroller, for saying so in numbers.

He, Zhang, Ren, Sun 2016, "Deep Residual Learning for Image Recognition", table 1; the stride of a stage is on its 3x3
convolution. Small inputs: the rule of `_scale.adapted_strides`; the stem's pool counts as a stride.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, Bottleneck
from ._layers import Activation, Conv, Fc, Mean, Pool, PoolKind
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 1000
EXAMPLE = "resnet50-1.0-224"
STEM = 64
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # bottleneck, repetitions, stride
EXPANSION = 4


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, pool, *strides = adapted_strides((2, 2, *(s for *_, s in STAGES)), min(shape[:2]))
    net: list[Block] = [Conv(scaled(STEM, width), (7, 7), (stem_stride, stem_stride), activation=Activation.RELU)]
    if pool > 1 and min(shape[:2]) > 1:
        net.append(Pool(PoolKind.MAX, (3, 3), (2, 2), (1, 1, 1, 1)))
    for (hidden, repetitions, _), stage_stride in zip(STAGES, strides, strict=True):
        narrow = scaled(hidden, width)
        for i in range(repetitions):
            stride = stage_stride if i == 0 else 1
            net.append(Bottleneck(narrow, narrow * EXPANSION, (stride, stride), projection=i == 0))
    return (*net, Mean(), Fc(classes))
