"""Residual blocks over time, for waveforms such as an ECG: (samples, 1, channels).

The blocks of He et al. 2016 with kernels along time alone; the table is ratti's own.
"""

from __future__ import annotations

from ..types import Shape
from ._blocks import Block, Residual
from ._layers import Activation, Conv, Fc, Mean
from ._scale import adapted_strides, scaled

DEFAULT_CLASSES = 4
EXAMPLE = "resnet_1d-0.5-128"
STAGES = ((16, 2), (32, 2), (64, 2))  # channels, stride


def input_shape(resolution: int) -> Shape:
    return resolution, 1, 1


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    strides = adapted_strides(tuple(s for _, s in STAGES), shape[0])
    widths = [scaled(c, width, 4) for c, _ in STAGES]
    stem = Conv(widths[0], (7, 1), activation=Activation.RELU)
    body = (Residual(c, c, (s, 1), projection=s > 1 or c != before, kernel=(5, 1))
            for c, before, s in zip(widths, (widths[0], *widths), strides, strict=False))
    return (stem, *body, Mean(), Fc(classes))
