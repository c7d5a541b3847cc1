"""Dimensions in another order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._move import Move
from .base import Case, Operand, constant_integers, in_int16, int8


@dataclass(frozen=True)
class Transpose(Move):
    """(…) -> the same with dimension k of the output being dimension `permutation[k]` of the input."""

    permutation: tuple[int, ...]

    name: ClassVar[str] = "transpose"
    tflite_code: ClassVar[int] = 39
    tflite_options: ClassVar[str | None] = "TransposeOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        if sorted(self.permutation) != list(range(len(shapes[0]))):
            raise ValueError(f"a permutation {self.permutation} of an input {shapes[0]}")
        return (tuple(shapes[0][k] for k in self.permutation),)

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        return (arrays[0].transpose(self.permutation),)

    def batched(self, samples: int, shape: Shape) -> Self:
        if self.permutation[0] != 0:
            raise ValueError(f"transpose of the first dimension of {shape}")
        return self

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        data = constant_integers(operands[1], "permutations").ravel()
        rank = len(operands[0].type.shape)
        return cls(tuple(int(k) + rank * bool(k < 0) for k in data)), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {}, (np.array(self.permutation, np.int32),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for shape, permutation in (
            ((1, 3, 4), (0, 2, 1)),
            ((1, 3, 4, 5), (0, 3, 1, 2)),
            ((1, 3, 4, 5), (0, 2, 3, 1)),
            ((1, 3, 4, 5), (0, 2, 1, 3)),
            ((1, 3, 4, 5), (0, 3, 2, 1)),
            ((1, 3, 4, 5), (0, 1, 3, 2)),
            ((1, 2, 3, 4, 5), (0, 1, 2, 4, 3)),
            ((1, 2, 3, 4, 5), (0, 4, 2, 1, 3)),
        ):
            out = tuple(shape[k] for k in permutation)
            label = "".join(map(str, permutation))
            case = Case(label, cls(permutation), (Operand(int8(shape, 0.1, 5)),), (int8(out, 0.1, 5),))
            yield case
            if label != "04213":  # with the bytes of an element, a dimension more than kernels walk
                yield in_int16(case)
