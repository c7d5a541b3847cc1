"""Ops that move elements and change none: what they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..types import Array, Shape, TensorType
from .base import Constraint, Op, all_same_quantization

MOST_OPERANDS = 64  # of an op that takes any number


class Move(Op):
    """An op whose outputs hold elements of its inputs; a subclass says which, for arrays of any element type."""

    constraints: ClassVar[tuple[Constraint, ...]] = (all_same_quantization,)
    takes_int16: ClassVar[bool] = True

    @abstractmethod
    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        """The outputs from the inputs; `fill` is what stands where no element of an input does."""

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        fill = types[0].zero_point if outputs[0].is_quantized else 0
        return self.move(inputs, fill)


def options_axis(options: Mapping[str, Any], rank: int, key: str = "axis") -> int:
    """An axis of a TFLite options table, counted from the front."""
    return normal_axis(int(options[key]), rank)


def normal_axis(axis: int, rank: int) -> int:
    """`axis` counted from the front. ValueError where there is no such dimension."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank} dimensions")
    return axis % rank


def names(count: int = MOST_OPERANDS) -> tuple[str, ...]:
    """Names of the operands of an op that takes any number."""
    return tuple(f"input_{k}" for k in range(count))


def same_but(shapes: Sequence[Shape], axis: int | None) -> None:
    """ValueError where shapes differ along another dimension than `axis`."""
    first = [n for d, n in enumerate(shapes[0]) if d != axis]
    for shape in shapes[1:]:
        if [n for d, n in enumerate(shape) if d != axis] != first:
            raise ValueError(f"operands of shapes {shapes[0]} and {shape}")
