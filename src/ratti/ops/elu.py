"""Exponential linear unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, TensorType
from ._unary import Unary
from .base import Case


@dataclass(frozen=True)
class Elu(Unary):
    """x where it is positive, exp(x) - 1 elsewhere."""

    name: ClassVar[str] = "elu"
    tflite_code: ClassVar[int] = 111

    def real(self, x: Array) -> Array:
        return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)

    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        # TFLite fills its table in float32.
        x = np.float32(input.scale) * (codes - input.zero_point).astype(np.float32)
        y = np.where(x < 0, np.exp(np.minimum(x, 0), dtype=np.float32) - np.float32(1), x)
        scaled = (y * (np.float32(1) / np.float32(output.scale))).astype(np.float64)
        return (np.trunc(scaled + np.copysign(0.5, scaled)) + output.zero_point).astype(np.int64)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.unary_cases((0.05, -10, 0.05, -10), (0.02, 0, 0.017, -60), (0.1, 100, 0.03, 5))
