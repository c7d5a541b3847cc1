"""A new shape for the same elements in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from .base import Case, Op, Operand, in_int16, int8, same_quantization


@dataclass(frozen=True)
class Reshape(Op):
    """(…) -> `shape`; moves no data."""

    shape: Shape

    name: ClassVar[str] = "reshape"
    takes_int16: ClassVar[bool] = True
    constraints = (same_quantization,)
    tflite_code: ClassVar[int] = 22
    tflite_aliases: ClassVar[tuple[int, ...]] = (43, 70)  # SQUEEZE, EXPAND_DIMS
    tflite_options: ClassVar[str | None] = "ReshapeOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        if np.prod(shapes[0]) != np.prod(self.shape):
            raise ValueError(f"an input {shapes[0]} cannot take the shape {self.shape}")
        return (self.shape,)

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        return (inputs[0].reshape(self.shape),)

    def batched(self, samples: int, shape: Shape) -> Self:
        return replace(self, shape=(self.shape[0] * samples, *self.shape[1:]))

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(outputs[0].shape), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"new_shape": list(self.shape)}, (np.array(self.shape, np.int32),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        flatten = Case("flatten", cls((1, 24)), (Operand(int8((1, 2, 3, 4), 0.1, 5)),), (int8((1, 24), 0.1, 5),))
        yield from (flatten, in_int16(flatten))
        yield Case("spread", cls((1, 2, 2, 4)), (Operand(int8((1, 16), 0.1, 5)),), (int8((1, 2, 2, 4), 0.1, 5),))
