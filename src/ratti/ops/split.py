"""A tensor cut into parts along a dimension (TFLite's SPLIT and SPLIT_V)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._move import Move, normal_axis
from .base import Case, Op, Operand, constant_integers, in_int16, int8
from .slice import Slice


@dataclass(frozen=True)
class Split(Move):
    """(…, A + B + …, …) -> (…, A, …), (…, B, …), …: `sizes` along `axis`."""

    axis: int
    sizes: tuple[int, ...]

    name: ClassVar[str] = "split"
    tflite_code: ClassVar[int] = 102
    tflite_aliases: ClassVar[tuple[int, ...]] = (49,)
    tflite_options: ClassVar[str | None] = "SplitVOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        shape, axis = shapes[0], self.axis
        normal_axis(axis, len(shape))
        if min(self.sizes, default=0) < 1 or sum(self.sizes) != shape[axis]:
            raise ValueError(f"parts of {self.sizes} along dimension {axis} of an input {shape}")
        return tuple((*shape[:axis], n, *shape[axis + 1 :]) for n in self.sizes)

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        return tuple(np.split(arrays[0], np.cumsum(self.sizes)[:-1], self.axis))

    def separate(self, types: Sequence[TensorType]) -> tuple[Op, ...]:
        shape = types[0].shape
        begins = np.cumsum((0, *self.sizes))
        ones = (1,) * len(shape)
        start = [0] * len(shape)
        parts: list[Op] = []
        for begin, out in zip(begins, self.infer_shapes(shape), strict=False):
            start[self.axis] = int(begin)
            parts.append(Slice(tuple(start), out, ones))
        return tuple(parts)

    def batched(self, samples: int, shape: Shape) -> Self:
        if self.axis == 0:
            raise ValueError(f"a split of the first dimension of {shape}")
        return self

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        data = len(operands) == 2  # SPLIT: the axis comes before the input
        rank = len(operands[data].type.shape)
        axes = constant_integers(operands[0 if data else 2], "axes").ravel().tolist()
        if len(axes) != 1:
            raise ValueError(f"a split along the dimensions {axes}")
        axis = normal_axis(axes[0], rank)
        return cls(axis, tuple(t.shape[axis] if len(t.shape) == rank else 0 for t in outputs)), (int(data),)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        vectors = (np.array(self.sizes, np.int32), np.array(self.axis, np.int32).reshape(1))
        return {"num_splits": len(self.sizes)}, vectors

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, axis, sizes in (
            ("channels", (1, 3, 4, 9), 3, (2, 4, 3)),
            ("halves", (1, 3, 4, 6), 3, (3, 3)),
            ("rows", (1, 6, 2, 3), 1, (1, 5)),
            ("vector", (1, 12), 1, (4, 4, 4)),
        ):
            op = cls(axis, sizes)
            outputs = tuple(int8(s, 0.1, 5) for s in op.infer_shapes(shape))
            case = Case(label, op, (Operand(int8(shape, 0.1, 5)),), outputs)
            yield from (case, in_int16(case))
