"""Rectified linear unit as an op of its own (converters fuse it where they can)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, TensorType
from ._unary import ALMOST_3_TO_2, Unary, rescale
from .base import Case


@dataclass(frozen=True)
class Relu(Unary):
    """max(x, 0), rescaled to the output's quantization."""

    name: ClassVar[str] = "relu"
    takes_int16: ClassVar[bool] = True
    tflite_code: ClassVar[int] = 19

    def real(self, x: Array) -> Array:
        return np.maximum(x, 0)

    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        return np.maximum(rescale(codes, input, output), output.zero_point)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.unary_cases(
            (0.05, -10, 0.05, -10), (0.05, -10, 0.03, -128), (0.1, 100, 0.01, 5), ALMOST_3_TO_2, (0.2, -128, 0.9, -3)
        )
