"""Padding with the value 0 (the zero point's code)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._move import Move
from .base import Case, Operand, constant_integers, constraint, in_int16, int8, same_quantization


@constraint
def not_negative(op: Pad, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """padding must not be negative"""
    return all(p >= 0 for pair in op.padding for p in pair)


@dataclass(frozen=True)
class Pad(Move):
    """(…) -> (…) with `padding[d]` = (before, after) elements of real value 0 along dimension d."""

    padding: tuple[tuple[int, int], ...]

    name: ClassVar[str] = "pad"
    constraints = (same_quantization, not_negative)
    tflite_code: ClassVar[int] = 34
    tflite_options: ClassVar[str | None] = "PadOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        if len(shapes[0]) != len(self.padding):
            raise ValueError(f"{len(self.padding)} padded dimensions on an input {shapes[0]}")
        return (tuple(n + sum(p) for n, p in zip(shapes[0], self.padding, strict=True)),)

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        return (np.pad(arrays[0], self.padding, constant_values=fill),)

    def batched(self, samples: int, shape: Shape) -> Self:
        if self.padding[0] != (0, 0):
            raise ValueError(f"padding of the first dimension of {shape}")
        return self

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        data = constant_integers(operands[1], "paddings")
        if data.shape != (len(operands[0].type.shape), 2):
            raise ValueError(f"paddings of shape {data.shape} on an input {operands[0].type.shape}")
        return cls(tuple((int(before), int(after)) for before, after in data)), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {}, (np.array(self.padding, np.int32),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, padding in (
            ("hw", (1, 3, 4, 5), ((0, 0), (1, 2), (0, 1), (0, 0))),
            ("channels", (1, 2, 3, 4), ((0, 0), (0, 0), (0, 0), (1, 3))),
            ("rows_only", (1, 3, 2, 3), ((0, 0), (2, 0), (0, 0), (0, 0))),
            ("flat", (1, 7), ((0, 0), (2, 2))),
            ("sequence", (1, 5, 3), ((0, 0), (2, 1), (0, 0))),
            ("five", (1, 2, 3, 2, 3), ((0, 0), (1, 0), (0, 1), (2, 0), (0, 1))),
            ("nothing", (1, 2, 2, 3), ((0, 0),) * 4),
        ):
            op = cls(padding)
            (out,) = op.infer_shapes(shape)
            zero = {"channels": 127, "flat": -128}.get(label, -13)
            case = Case(label, op, (Operand(int8(shape, 0.1, zero)),), (int8(out, 0.1, zero),))
            yield from (case, in_int16(case))
