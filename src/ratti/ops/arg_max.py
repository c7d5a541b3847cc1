"""The place of the largest element along a dimension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, DType, Shape, TensorType
from ._move import normal_axis
from .base import Case, Op, Operand, constant_integers, constraint, int8


@constraint
def indices(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """the input must be int8 with one scale or float32, and the output int32 without a scale"""
    type, out = operands[0].type, outputs[0]
    numbers = type.dtype is DType.FLOAT32 or (
        type.dtype is DType.INT8 and type.quant is not None and type.quant.axis is None
    )
    return numbers and out.dtype is DType.INT32 and out.quant is None


@dataclass(frozen=True)
class ArgMax(Op):
    """(…, C, …) int8 -> (…) int32: the index along `axis` of the largest element, the first of equal ones."""

    axis: int

    name: ClassVar[str] = "arg_max"
    typing = indices
    tflite_code: ClassVar[int] = 56
    tflite_options: ClassVar[str | None] = "ArgMaxOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        shape = shapes[0]
        normal_axis(self.axis, len(shape))
        return ((*shape[: self.axis], *shape[self.axis + 1 :]),)

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        return (inputs[0].argmax(self.axis).astype(np.int32),)

    def batched(self, samples: int, shape: Shape) -> Self:
        if self.axis == 0:
            raise ValueError(f"arg max over the first dimension of {shape}")
        return self

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        axes = constant_integers(operands[1], "axes").ravel().tolist()
        if len(axes) != 1:
            raise ValueError(f"arg max over the dimensions {axes}")
        return cls(normal_axis(axes[0], len(operands[0].type.shape))), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"output_type": 2}, (np.array(self.axis, np.int32),)  # 2: INT32

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, axis in (
            ("classes", (1, 10), 1),
            ("channels", (1, 3, 4, 6), 3),
            ("columns", (1, 3, 5, 2), 2),
        ):
            (out,) = cls(axis).infer_shapes(shape)
            yield Case(label, cls(axis), (Operand(int8(shape, 0.1, 5)),), (TensorType(out, DType.INT32),))
