"""MobileNetV3-Small: inverted residuals with squeeze and excitation and hard swish.

Howard et al. 2019, "Searching for MobileNetV3", table 2, with the last layers behind the mean as fully connected ones.
How the gate is formed: `_blocks.InvertedResidual`. Inputs of at most 32 pixels keep a last map of 4x4 by the rule of
`_scale.adapted_strides`.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, InvertedResidual
from ._layers import Activation, Conv, Fc, Mean
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 1000
EXAMPLE = "mobilenet_v3_small-0.35-96"
STEM, LAST_CONV, LAST_FC = 16, 576, 1024
RE, HS = Activation.RELU, Activation.HARD_SWISH
STAGES = (
    (3, 16, 16, True, RE, 2), (3, 72, 24, False, RE, 2), (3, 88, 24, False, RE, 1),
    (5, 96, 40, True, HS, 2), (5, 240, 40, True, HS, 1), (5, 240, 40, True, HS, 1),
    (5, 120, 48, True, HS, 1), (5, 144, 48, True, HS, 1),
    (5, 288, 96, True, HS, 2), (5, 576, 96, True, HS, 1), (5, 576, 96, True, HS, 1),
)  # kernel, expansion, output, squeeze and excitation, activation, stride


def input_shape(resolution: int) -> Shape:
    return resolution, resolution, 3


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    stem_stride, *strides = adapted_strides((2, *(s for *_, s in STAGES)), min(shape[:2]))
    channels = scaled(STEM, width)
    net: list[Block] = [Conv(channels, (3, 3), (stem_stride, stem_stride), activation=HS)]
    for (kernel, expansion, out, gated, activation, _), stride in zip(STAGES, strides, strict=True):
        hidden, out = scaled(expansion, width), scaled(out, width)
        net.append(InvertedResidual(
            hidden if hidden != channels else None, out, (kernel, kernel), (stride, stride),
            residual=stride == 1 and channels == out, activation=activation,
            squeeze=scaled(hidden / 4, 1.0) if gated else None))
        channels = out
    head = Conv(scaled(LAST_CONV, width), activation=HS)
    return (*net, head, Mean(), Fc(scaled(LAST_FC, width), HS), Fc(classes))
