"""Maximum pooling; padded positions do not count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, DType, TensorType
from ._pool import Pool2D
from ._window import pad_hw, patches
from .base import Case


@dataclass(frozen=True)
class MaxPool2D(Pool2D):
    """(N, H, W, C) -> (N, OH, OW, C): largest code of each window."""

    name: ClassVar[str] = "max_pool2d"
    tflite_code: ClassVar[int] = 17

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        out = outputs[0]
        lowest = -np.inf if out.dtype is DType.FLOAT32 else out.dtype.limits[0]
        largest = patches(pad_hw(inputs[0], self.padding, lowest), self.kernel, self.stride).max((3, 4))
        if out.dtype is DType.FLOAT32:
            return (self.activation.apply(largest).astype(np.float32),)
        return (np.clip(largest, *self.activation.code_range(out)).astype(out.dtype.numpy),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.pool_cases()
