"""A tensor cut into its slices along a dimension, which leaves the shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._move import Move, normal_axis, options_axis
from .base import Case, Op, Operand, in_int16, int8
from .slice import Slice


@dataclass(frozen=True)
class Unpack(Move):
    """(…, count, …) -> (…), (…), …: one output for each index of dimension `axis`."""

    axis: int

    name: ClassVar[str] = "unpack"
    tflite_code: ClassVar[int] = 88
    tflite_options: ClassVar[str | None] = "UnpackOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        shape = shapes[0]
        normal_axis(self.axis, len(shape))
        return ((*shape[: self.axis], *shape[self.axis + 1 :]),) * shape[self.axis]

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        return tuple(arrays[0].take(k, self.axis) for k in range(arrays[0].shape[self.axis]))

    def separate(self, types: Sequence[TensorType]) -> tuple[Op, ...]:
        shape, axis = types[0].shape, self.axis
        count = (*shape[:axis], 1, *shape[axis + 1 :])
        begins = [tuple(k if d == axis else 0 for d in range(len(shape))) for k in range(shape[axis])]
        return tuple(Slice(begin, count, (1,) * len(shape), (axis,)) for begin in begins)

    def batched(self, samples: int, shape: Shape) -> Self:
        if self.axis == 0:
            raise ValueError(f"unpacking of the first dimension of {shape}")
        return self

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(options_axis(options, len(operands[0].type.shape))), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"axis": self.axis, "num": operands[0].type.shape[self.axis]}, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, axis in (("rows", (1, 3, 4, 5), 1), ("last", (1, 4, 3), 2), ("steps", (1, 4, 5), 1)):
            outputs = tuple(int8(s, 0.1, 5) for s in cls(axis).infer_shapes(shape))
            case = Case(label, cls(axis), (Operand(int8(shape, 0.1, 5)),), outputs)
            yield from (case, in_int16(case))
