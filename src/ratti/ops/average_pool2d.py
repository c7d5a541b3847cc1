"""Average pooling; padded positions do not count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, DType, TensorType
from ._pool import Pool2D
from ._window import counts, map_size, pad_hw, patches
from .base import Case


@dataclass(frozen=True)
class AveragePool2D(Pool2D):
    """(N, H, W, C) -> (N, OH, OW, C): mean of each window, rounded half away from zero on the codes."""

    name: ClassVar[str] = "average_pool2d"
    tflite_code: ClassVar[int] = 1

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        out = outputs[0]
        n = counts(map_size(types[0].shape), self.kernel, self.stride, self.padding)
        if out.dtype is DType.FLOAT32:
            padded = pad_hw(inputs[0].astype(np.float64), self.padding, 0)
            return (self.activation.apply(patches(padded, self.kernel, self.stride).sum((3, 4)) / n).astype("float32"),)
        acc = patches(pad_hw(inputs[0].astype(np.int64), self.padding, 0), self.kernel, self.stride).sum((3, 4))
        mean = np.where(acc > 0, (acc + n // 2) // n, -((-acc + n // 2) // n))
        return (np.clip(mean, *self.activation.code_range(out)).astype(out.dtype.numpy),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield from cls.pool_cases()
