"""Change of scale and zero point: TFLite's QUANTIZE between integer tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, TensorType
from ._unary import ALMOST_3_TO_2, Unary, rescale
from .base import Case


@dataclass(frozen=True)
class Requantize(Unary):
    """The same real values in the output's codes, saturated."""

    name: ClassVar[str] = "requantize"
    takes_int16: ClassVar[bool] = True
    tflite_code: ClassVar[int] = 114

    def real(self, x: Array) -> Array:
        return x

    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        return rescale(codes, input, output)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.unary_cases(
            (0.05, -10, 0.05, 30),
            (0.05, 3, 0.02, -128),
            (0.013, 100, 0.1, -120),
            (0.5, -128, 0.5, 120),
            (0.05, 127, 0.05, 127),
            ALMOST_3_TO_2,
            (7.0, 1, 0.05, 2),
        )
