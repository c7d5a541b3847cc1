"""Dimensions in another order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from .base import Case, Op, Operand, constant_integers, int8, same_quantization


@dataclass(frozen=True)
class Transpose(Op):
    """(…) -> the same with dimension k of the output being dimension `permutation[k]` of the input."""

    permutation: tuple[int, ...]

    name: ClassVar[str] = "transpose"
    constraints = (same_quantization,)
    tflite_code: ClassVar[int] = 39

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        if sorted(self.permutation) != list(range(len(shapes[0]))):
            raise ValueError(f"a permutation {self.permutation} of an input {shapes[0]}")
        return (tuple(shapes[0][k] for k in self.permutation),)

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        return (inputs[0].transpose(self.permutation),)

    def batched(self, samples: int, shape: Shape) -> Self:
        if self.permutation[0] != 0:
            raise ValueError(f"transpose of the first dimension of {shape}")
        return self

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(tuple(int(k) for k in constant_integers(operands[1], "permutations"))), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {}, (np.array(self.permutation, np.int32),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        yield Case("x", cls((0, 2, 1)), (Operand(int8((1, 2, 3), 0.1, 5)),), (int8((1, 3, 2), 0.1, 5),))
