"""Sum over dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, DType, TensorType
from ._reduce import Reduce
from .base import Case, Operand, int8


@dataclass(frozen=True)
class Sum(Reduce):
    """The sum over `axes` (ascending); they stay as dimensions of 1 where `keep_dims`."""

    name: ClassVar[str] = "sum"
    tflite_code: ClassVar[int] = 74

    def multiplier(self, input: TensorType, output: TensorType) -> tuple[int, int]:
        """(multiplier, shift) from the sum of the codes less the zero point to the output."""
        return quantize_multiplier(input.scale / output.scale)

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        out = outputs[0]
        if out.dtype is DType.FLOAT32:
            return (inputs[0].astype(np.float64).sum(axis=self.axes).reshape(out.shape).astype(np.float32),)
        total = (inputs[0].astype(np.int64) - types[0].zero_point).sum(axis=self.axes)
        codes = requantize(total, *self.multiplier(types[0], out)) + out.zero_point
        return (np.clip(codes, *out.dtype.limits).reshape(out.shape).astype(out.dtype.numpy),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, axes, keep, scale in (
            ("hw", (1, 5, 3, 8), (1, 2), False, 0.9),
            ("hw_keep", (1, 7, 7, 5), (1, 2), True, 3.1),
            ("channels", (1, 3, 4, 9), (3,), False, 0.4),
            ("apart", (1, 3, 4, 5), (1, 3), False, 0.7),
        ):
            (out,) = cls(axes, keep).infer_shapes(shape)
            yield Case(label, cls(axes, keep), (Operand(int8(shape, 0.1, 5)),), (int8(out, scale, -3),))
