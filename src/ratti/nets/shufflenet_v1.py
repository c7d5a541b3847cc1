"""ShuffleNet: grouped 1x1 convolutions with a channel shuffle between them.

Zhang, Zhou, Lin, Sun 2018, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
table 1, three groups. The bottleneck is a quarter of the unit's width. Widths are multiples of 24, so that groups and
the bottleneck divide. Small inputs: the rule of `_scale.adapted_strides`; the stem's pool counts as a stride.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, ShuffleUnit
from ._layers import Activation, Conv, Fc, Mean, Pool, PoolKind
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 1000
EXAMPLE = "shufflenet_v1-0.25-96"
GROUPS, STEM = 3, 24
STAGES = ((240, 4), (480, 8), (960, 4))  # channels, repetitions


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, pool, *strides = adapted_strides((2, 2, *(2,) * len(STAGES)), min(shape[:2]))
    channels = STEM  # at every width, as in the paper
    net: list[Block] = [Conv(channels, (3, 3), (stem_stride, stem_stride), activation=Activation.RELU)]
    if pool > 1 and min(shape[:2]) > 1:
        net.append(Pool(PoolKind.MAX, (2, 2)))
    for number, ((stage, repetitions), stride) in enumerate(zip(STAGES, strides, strict=True)):
        out = scaled(stage, width, 8 * GROUPS)
        for i in range(repetitions):
            steps = (stride, stride) if i == 0 else (1, 1)
            if i == 0 and stride == 1 and channels != out:  # without a stride nothing lies beside: only widen
                net.append(Conv(out, activation=Activation.RELU))
            else:
                first = 1 if number == 0 and i == 0 else None
                net.append(ShuffleUnit(scaled(out / 4, 1.0, GROUPS), out, GROUPS, steps, first))
            channels = out
    return (*net, Mean(), Fc(classes))
