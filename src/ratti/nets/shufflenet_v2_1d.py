"""A small ShuffleNetV2 over time, for windows of sensors and waveforms: (samples, 1, channels).

The units of Ma et al. 2018 (see `shufflenet_v2`) with kernels along time alone; the table is ratti's own.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, ShuffleUnitV2
from ._layers import Activation, Conv, Fc, Mean
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 4
EXAMPLE = "shufflenet_v2_1d-1.0-128"
STEM, HEAD = 16, 128
STAGES = ((32, 2), (64, 3), (96, 2))  # channels, repetitions; each begins with stride 2
KERNEL = (7, 1)


def input_shape(resolution: int) -> Shape:
    return resolution, 1, 1


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, *strides = adapted_strides((2, *(2,) * len(STAGES)), shape[0], up_to=64)
    net: list[Block] = [Conv(scaled(STEM, width, 4), (9, 1), (stem_stride, 1), activation=Activation.RELU)]
    for (stage_width, repetitions), stride in zip(STAGES, strides, strict=True):
        out = scaled(stage_width, width, 8)
        half = out // 2
        if stride > 1:
            net.append(ShuffleUnitV2(half, out, half, (stride, 1), KERNEL))
        else:
            net.append(Conv(out, activation=Activation.RELU))
        net += [ShuffleUnitV2(half, out, half, kernel=KERNEL) for _ in range(repetitions - 1)]
    return (*net, Conv(scaled(HEAD, width, 4), activation=Activation.RELU), Mean(), Fc(classes))
