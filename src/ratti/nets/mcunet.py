"""MCUNet-style: inverted residuals whose kernels and expansions differ by stage, thin where maps are large.

After Lin, Chen, Lin, Cohn, Gan, Han 2020, "MCUNet: Tiny Deep Learning on IoT Devices", figure 5 and section 3.1: the
nets that a search under a RAM limit finds keep the first maps narrow and use kernels of 3 to 7. The table is ratti's
own and no copy of a published net.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, InvertedResidual
from ._layers import Activation, Conv, Fc, Mean
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 1000
EXAMPLE = "mcunet-0.5-64"
STEM = 16
STAGES = (
    (1, 8, 1, 3, 1), (3, 16, 2, 5, 2), (4, 24, 2, 7, 2), (4, 40, 2, 5, 2), (5, 48, 2, 5, 1), (5, 96, 2, 7, 2),
    (6, 160, 1, 5, 1),
)  # expansion, channels, repetitions, kernel, stride of the first


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, *strides = adapted_strides((2, *(s for *_, s in STAGES)), min(shape[:2]))
    channels = scaled(STEM, width)
    net: list[Block] = [Conv(channels, (3, 3), (stem_stride, stem_stride), activation=Activation.RELU6)]
    for (expansion, stage_width, repetitions, kernel, _), stage_stride in zip(STAGES, strides, strict=True):
        for i in range(repetitions):
            out, stride = scaled(stage_width, width), stage_stride if i == 0 else 1
            hidden = channels * expansion if expansion > 1 else None
            net.append(InvertedResidual(hidden, out, (kernel, kernel), (stride, stride),
                                        residual=stride == 1 and channels == out))
            channels = out
    return (*net, Mean(), Fc(classes))
