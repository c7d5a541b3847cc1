"""An autoencoder for anomalies: what it cannot draw again from eight numbers, it has not seen in training.

Koizumi et al. 2020, "Description and Discussion on DCASE2020 Challenge Task2", section 4 (the baseline), as MLPerf
Tiny's anomaly detection has it (Banbury et al. 2021), without batch normalization. Its outputs are its input again, so
the number of classes has no meaning here.
"""

from __future__ import annotations

import math

from ..types import Shape
from ._blocks import Block
from ._layers import Activation, Fc, Flatten
from ._scale import scaled

DEFAULT_CLASSES = 640
EXAMPLE = "autoencoder-1.0-640"
GOAL = "reconstruct"
HIDDEN, CODE, LAYERS = 128, 8, 4


def input_shape(resolution: int) -> Shape:
    return resolution, 1, 1


def blocks(width: float, shape: Shape, classes: int) -> tuple[Block, ...]:
    side = (Fc(scaled(HIDDEN, width), Activation.RELU),) * LAYERS
    return (Flatten(), *side, Fc(CODE, Activation.RELU), *side, Fc(math.prod(shape)))
