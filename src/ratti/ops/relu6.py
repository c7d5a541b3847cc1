"""ReLU6 as an op of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, TensorType
from ._unary import Unary
from .base import Activation, Case, same_quantization


@dataclass(frozen=True)
class Relu6(Unary):
    """min(max(x, 0), 6); TFLite's kernel clamps codes and does not rescale."""

    name: ClassVar[str] = "relu6"
    takes_int16: ClassVar[bool] = True
    constraints = (same_quantization,)
    tflite_code: ClassVar[int] = 21

    def real(self, x: Array) -> Array:
        return Activation.RELU6.apply(x)

    def codes(self, codes: Array, input: TensorType, output: TensorType) -> Array:
        return np.clip(codes, *Activation.RELU6.code_range(output))

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.unary_cases((0.05, -10, 0.05, -10), (0.0235294, -128, 0.0235294, -128), (0.1, 100, 0.1, 100))
