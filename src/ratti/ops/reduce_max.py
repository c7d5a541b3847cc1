"""Largest element over dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, TensorType
from ._reduce import Reduce
from .base import Case, Operand, int8, same_quantization


@dataclass(frozen=True)
class ReduceMax(Reduce):
    """The largest element over `axes` (ascending); they stay as dimensions of 1 where `keep_dims`."""

    name: ClassVar[str] = "reduce_max"
    constraints = (same_quantization,)
    tflite_code: ClassVar[int] = 82

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        return (inputs[0].max(axis=self.axes).reshape(outputs[0].shape),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, axes, keep in (
            ("hw", (1, 5, 3, 8), (1, 2), False),
            ("hw_keep", (1, 7, 7, 5), (1, 2), True),
            ("channels", (1, 3, 4, 9), (3,), False),
            ("apart", (1, 3, 4, 5), (1, 3), False),
        ):
            (out,) = cls(axes, keep).infer_shapes(shape)
            yield Case(label, cls(axes, keep), (Operand(int8(shape, 0.1, 5)),), (int8(out, 0.1, 5),))
