"""Products of matrices, both computed at run time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, DType, Shape, TensorType
from .base import Case, Op, Operand, constraint, int8


@constraint
def depth_in_range(op: BatchMatmul, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """int8 matrix products take at most 16384 products an element, so that their sums fit 30 bits"""
    return outputs[0].dtype is DType.FLOAT32 or op.depth(operands[0].type.shape) <= 1 << 14


@dataclass(frozen=True)
class BatchMatmul(Op):
    """(…, M, K) @ (…, K, N) -> (…, M, N); leading dimensions of 1 are repeated.

    A transposed operand has its last two dimensions swapped.
    """

    transposed: bool = False
    transposed_other: bool = False

    name: ClassVar[str] = "batch_matmul"
    operand_names: ClassVar[tuple[str, ...]] = ("input", "other")
    activations: ClassVar[int] = 2
    broadcasts: ClassVar[bool] = True
    constraints = (depth_in_range,)
    tflite_code: ClassVar[int] = 126
    tflite_options: ClassVar[str | None] = "BatchMatMulOptions"

    def depth(self, shape: Shape) -> int:
        """K, from the shape of the first operand."""
        return shape[-2 if self.transposed else -1]

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        first, second = shapes
        if min(len(first), len(second)) < 2:
            raise ValueError(f"matrices of shapes {first} and {second}")
        m, k = first[:-3:-1] if self.transposed else first[-2:]
        k2, n = second[:-3:-1] if self.transposed_other else second[-2:]
        if k != k2:
            raise ValueError(f"matrices of shapes {first} and {second}")
        return ((*np.broadcast_shapes(first[:-2], second[:-2]), m, n),)

    def batched(self, samples: int, shape: Shape) -> Self:
        if len(shape) < 3:
            raise ValueError(f"a matrix product of {shape}")
        return self

    @staticmethod
    def multiplier(types: Sequence[TensorType], output: TensorType) -> tuple[int, int]:
        """(multiplier, shift) of the sum of products."""
        return quantize_multiplier(types[0].scale * types[1].scale / output.scale)

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        out = outputs[0]
        real = out.dtype is DType.FLOAT32
        a, b = (x.astype(np.float64) - (0 if real else t.zero_point) for x, t in zip(inputs, types, strict=True))
        a = a.swapaxes(-1, -2) if self.transposed else a
        b = b.swapaxes(-1, -2) if self.transposed_other else b
        if real:
            return ((a @ b).astype(np.float32),)
        codes = requantize((a @ b).astype(np.int64), *self.multiplier(types, out)) + out.zero_point
        return (np.clip(codes, *out.dtype.limits).astype(out.dtype.numpy),)

    def macs(self, types: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return outputs[0].elements * self.depth(types[0].shape)

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(bool(options["adj_x"]), bool(options["adj_y"])), (0, 1)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"adj_x": self.transposed, "adj_y": self.transposed_other}, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, first, second, op in (
            ("plain", (1, 4, 5), (1, 5, 3), cls()),
            ("other", (1, 4, 6), (1, 3, 6), cls(transposed_other=True)),
            ("first", (1, 6, 4), (1, 6, 3), cls(transposed=True)),
            ("both", (1, 2, 6, 4), (1, 2, 3, 6), cls(True, True)),
            ("heads", (1, 3, 4, 5), (1, 3, 5, 4), cls()),
            ("repeated", (1, 3, 4, 5), (1, 1, 5, 4), cls()),
        ):
            (out,) = op.infer_shapes(first, second)
            depth = op.depth(first)
            y = int8(out, 0.05 * 0.04 * 74 * 74 * float(np.sqrt(depth)) / 60, 9)
            yield Case(label, op, (Operand(int8(first, 0.05, -7)), Operand(int8(second, 0.04, 12))), (y,))
