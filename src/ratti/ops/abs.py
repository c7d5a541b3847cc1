"""Absolute value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, TensorType
from ._unary import ALMOST_3_TO_2, Unary, rescale
from .base import Case


@dataclass(frozen=True)
class Abs(Unary):
    """|x|, rescaled to the output's quantization."""

    name: ClassVar[str] = "abs"
    tflite_code: ClassVar[int] = 101

    def real(self, x: Array) -> Array:
        return np.abs(x)

    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        distance = np.abs(codes - input.zero_point)
        return rescale(distance + input.zero_point, input, output)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.unary_cases(
            (0.05, -10, 0.05, -10), (0.05, 0, 0.05, -128), (0.1, 100, 0.13, 5), ALMOST_3_TO_2, (0.2, -128, 0.9, -3)
        )
