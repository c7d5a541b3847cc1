"""ShuffleNetV2: half of the channels pass a unit unchanged, then all are shuffled.

Ma, Zhang, Zheng, Sun 2018, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", table 5. The
paper gives widths for 0.5, 1, 1.5 and 2; those between and below are drawn through them. Small inputs: the rule of
`_scale.adapted_strides`; the stem's pool counts as a stride.
"""

from __future__ import annotations

import numpy as np

from ..types import Shape
from ._blocks import Block, ShuffleUnitV2
from ._layers import Activation, Conv, Fc, Mean, Pool, PoolKind
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 1000
EXAMPLE = "shufflenet_v2-0.5-96"
MULTIPLIERS = (0.0, 0.5, 1.0, 1.5, 2.0)
WIDTHS = ((0, 48, 116, 176, 244), (0, 96, 232, 352, 488), (0, 192, 464, 704, 976))  # of the stages
REPETITIONS = (4, 8, 4)
STEM, HEAD, WIDE_HEAD = 24, 1024, 2048


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, pool, *strides = adapted_strides((2, 2, *(2,) * len(WIDTHS)), min(shape[:2]))
    net: list[Block] = [Conv(STEM, (3, 3), (stem_stride, stem_stride), activation=Activation.RELU)]
    if pool > 1 and min(shape[:2]) > 1:
        net.append(Pool(PoolKind.MAX, (2, 2)))
    for known, repetitions, stride in zip(WIDTHS, REPETITIONS, strides, strict=True):
        out = 4 * max(2, round(float(np.interp(width, MULTIPLIERS, known)) / 4))
        half = out // 2
        if stride > 1:
            net.append(ShuffleUnitV2(half, out, half, (stride, stride)))
        else:
            net.append(Conv(out, activation=Activation.RELU))
        net += [ShuffleUnitV2(half, out, half) for _ in range(repetitions - 1)]
    head = scaled(WIDE_HEAD if width >= MULTIPLIERS[-1] else HEAD * min(1.0, 2 * width), 1.0)
    return (*net, Conv(head, activation=Activation.RELU), Mean(), Fc(classes))
