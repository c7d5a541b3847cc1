"""Tensors joined along a dimension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._accumulate import activation_of
from ._move import MOST_OPERANDS, Move, names, normal_axis, options_axis, same_but
from .base import Activation, Case, Operand, in_int16, int8


@dataclass(frozen=True)
class Concat(Move):
    """(…, A, …), (…, B, …), … -> (…, A + B + …, …) along `axis`."""

    axis: int

    name: ClassVar[str] = "concat"
    operand_names: ClassVar[tuple[str, ...]] = names()
    optional_operands: ClassVar[int] = MOST_OPERANDS - 1
    activations: ClassVar[int] = MOST_OPERANDS
    tflite_code: ClassVar[int] = 2
    tflite_options: ClassVar[str | None] = "ConcatenationOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        normal_axis(self.axis, len(shapes[0]))
        same_but(shapes, self.axis)
        total = sum(s[self.axis] for s in shapes)
        return ((*shapes[0][: self.axis], total, *shapes[0][self.axis + 1 :]),)

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        return (np.concatenate(list(arrays), self.axis),)

    def batched(self, samples: int, shape: Shape) -> Self:
        if self.axis == 0:
            raise ValueError(f"concatenation along the first dimension of {shape}")
        return self

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        if activation_of(options) is not Activation.NONE:
            raise ValueError("a fused activation (TFLite's own kernels have none either)")
        return cls(options_axis(options, len(operands[0].type.shape))), tuple(range(len(operands)))

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"axis": self.axis, "fused_activation_function": 0}, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, axis, shapes in (
            ("channels", 3, ((1, 3, 4, 5), (1, 3, 4, 2))),
            ("rows", 1, ((1, 3, 4, 5), (1, 1, 4, 5), (1, 4, 4, 5))),
            ("columns", 2, ((1, 3, 4, 2), (1, 3, 1, 2))),
            ("vectors", 1, ((1, 7), (1, 3), (1, 4), (1, 2), (1, 9))),
            ("alone", 1, ((1, 7),)),
            ("five", 3, ((1, 2, 3, 2, 3), (1, 2, 3, 4, 3))),
        ):
            (out,) = cls(axis).infer_shapes(*shapes)
            types = tuple(Operand(int8(s, 0.1, -9)) for s in shapes)
            case = Case(label, cls(axis), types, (int8(out, 0.1, -9),))
            yield from (case, in_int16(case))
        weight = Operand(int8((1, 3, 4, 2), 0.1, -9), rng.integers(-128, 128, (1, 3, 4, 2)).astype(np.int8))
        case = Case("constant", cls(3), (Operand(int8((1, 3, 4, 3), 0.1, -9)), weight), (int8((1, 3, 4, 5), 0.1, -9),))
        yield from (case, in_int16(case))
