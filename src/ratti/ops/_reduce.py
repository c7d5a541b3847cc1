"""What reductions over dimensions share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from .base import Op, Operand, constant_integers


@dataclass(frozen=True)
class Reduce(Op):
    """Over `axes` (ascending); they stay as dimensions of 1 where `keep_dims`."""

    axes: tuple[int, ...]
    keep_dims: bool = False

    tflite_options: ClassVar[str | None] = "ReducerOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        shape = shapes[0]
        if not self.axes or any(not 0 <= a < len(shape) for a in self.axes):
            raise ValueError(f"axes {self.axes} of an input {shape}")
        if self.keep_dims:
            return (tuple(1 if d in self.axes else n for d, n in enumerate(shape)),)
        return (tuple(n for d, n in enumerate(shape) if d not in self.axes),)

    def batched(self, samples: int, shape: Shape) -> Self:
        if 0 in self.axes:
            raise ValueError(f"{self.name} over the first dimension of {shape}")
        return self

    def count(self, shape: Shape) -> int:
        """How many elements each mean takes in."""
        return int(np.prod([shape[a] for a in self.axes]))

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        data = constant_integers(operands[1], "axes")
        rank = len(operands[0].type.shape)
        if data.size > rank or not all(-rank <= a < rank for a in data.ravel()):
            raise ValueError(f"{data.size} axes {data.ravel()[:4].tolist()} of an input {operands[0].type.shape}")
        axes = tuple(sorted({int(a) % rank for a in data.ravel()}))
        return cls(axes, bool(options["keep_dims"])), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"keep_dims": self.keep_dims}, (np.array(self.axes, np.int32),)
