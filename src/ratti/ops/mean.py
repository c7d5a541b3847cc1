"""Mean over dimensions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..fixed_point import quantize_multiplier, requantize
from ..types import Array, DType, TensorType
from ._reduce import Reduce
from .base import Case, Operand, in_int16, int8


@dataclass(frozen=True)
class Mean(Reduce):
    """Mean over `axes` (ascending); they stay as dimensions of 1 where `keep_dims`."""

    name: ClassVar[str] = "mean"
    takes_int16: ClassVar[bool] = True
    tflite_code: ClassVar[int] = 40

    def multiplier(self, input: TensorType, output: TensorType) -> tuple[int, int]:
        """(multiplier, shift) from the sum of the codes less the zero point to the output.

        TFLite divides by the count inside the multiplier: the mantissa of the scale ratio, shifted up by as many
        bits as the count leaves room for, is divided by the count (truncated).
        """
        multiplier, shift = quantize_multiplier(input.scale / output.scale)
        count = self.count(input.shape)
        up = min(count.bit_length() - 1, 32, 31 + shift)
        return (multiplier << up) // count, shift - up

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        out = outputs[0]
        if out.dtype is DType.FLOAT32:
            mean = inputs[0].astype(np.float64).mean(axis=self.axes)
            return (mean.reshape(out.shape).astype(np.float32),)
        total = (inputs[0].astype(np.int64) - types[0].zero_point).sum(axis=self.axes)
        codes = requantize(total, *self.multiplier(types[0], out)) + out.zero_point
        return (np.clip(codes, *out.dtype.limits).reshape(out.shape).astype(out.dtype.numpy),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, axes, keep, quant in (
            ("hw", (1, 5, 3, 8), (1, 2), False, (0.1, 3, 0.06, -5)),
            ("hw_keep", (1, 7, 7, 5), (1, 2), True, (0.0235, -128, 0.0235, -128)),
            ("hw_same", (1, 4, 4, 16), (1, 2), False, (0.05, -128, 0.05, -128)),
            ("one_pixel", (1, 1, 1, 9), (1, 2), False, (0.05, 20, 0.04, 120)),
            ("small_scale", (1, 2, 2, 6), (1, 2), False, (0.05, 90, 0.002, -128)),
            ("many", (1, 25, 5, 12), (1, 2), False, (0.1, 7, 0.01, -128)),
            ("rows", (1, 6, 5, 4), (1,), False, (0.1, -8, 0.08, 127)),
            ("columns", (1, 3, 7, 4), (2,), False, (0.1, -8, 0.05, 0)),
            ("channels_keep", (1, 3, 4, 9), (3,), True, (0.1, 30, 0.03, -128)),
            ("everything", (1, 3, 4, 5), (1, 2, 3), True, (0.1, 0, 0.01, 10)),
            ("apart", (1, 3, 4, 5), (1, 3), False, (0.1, 3, 0.03, -7)),
            ("sequence", (1, 12, 6), (1,), False, (0.02, 5, 0.01, 4)),
        ):
            op = cls(axes, keep)
            (out,) = op.infer_shapes(shape)
            case = Case(label, op, (Operand(int8(shape, *quant[:2])),), (int8(out, *quant[2:]),))
            yield case
            if label != "apart":  # no int16 kernel averages dimensions that are apart
                yield in_int16(case)
