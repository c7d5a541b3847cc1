"""Tensors of one shape stacked along a new dimension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._move import MOST_OPERANDS, Move, names, options_axis, same_but
from .base import Case, Operand, in_int16, int8


@dataclass(frozen=True)
class Pack(Move):
    """(…), (…), … -> (…, count, …): a new dimension `axis`."""

    axis: int

    name: ClassVar[str] = "pack"
    operand_names: ClassVar[tuple[str, ...]] = names()
    optional_operands: ClassVar[int] = MOST_OPERANDS - 1
    activations: ClassVar[int] = MOST_OPERANDS
    tflite_code: ClassVar[int] = 83
    tflite_options: ClassVar[str | None] = "PackOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        if not 0 <= self.axis <= len(shapes[0]):
            raise ValueError(f"axis {self.axis} of {len(shapes[0]) + 1} dimensions")
        same_but(shapes, None)
        return ((*shapes[0][: self.axis], len(shapes), *shapes[0][self.axis :]),)

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        return (np.stack(list(arrays), self.axis),)

    def batched(self, samples: int, shape: Shape) -> Self:
        if self.axis == 0:
            raise ValueError(f"stacking of {shape} along a new first dimension")
        return self

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(options_axis(options, len(operands[0].type.shape) + 1)), tuple(range(len(operands)))

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"axis": self.axis, "values_count": len(operands)}, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, axis, shape, count in (
            ("last", 3, (1, 3, 4), 2),
            ("middle", 2, (1, 3, 4), 3),
            ("rows", 1, (1, 5, 2), 2),
            ("vectors", 1, (1, 6), 4),
        ):
            (out,) = cls(axis).infer_shapes(*[shape] * count)
            case = Case(label, cls(axis), (Operand(int8(shape, 0.1, 7)),) * count, (int8(out, 0.1, 7),))
            yield from (case, in_int16(case))
