"""Fully connected layer over the last dimension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, DType, Quant, Shape, TensorType
from ._accumulate import LinearOp, activation_of
from .base import (
    Activation,
    Case,
    Operand,
    int8,
    random_bias,
    random_filter,
    with_four_bits,
    with_int16,
    with_zeros,
)


@dataclass(frozen=True)
class FullyConnected(LinearOp):
    """(..., I) * (O, I) + (O,) -> (N, O); the input is flattened to rows of I unless `keep_dims`."""

    activation: Activation = Activation.NONE
    keep_dims: bool = False

    takes_int16: ClassVar[bool] = True
    name: ClassVar[str] = "fully_connected"
    tflite_code: ClassVar[int] = 9
    tflite_options: ClassVar[str | None] = "FullyConnectedOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        if len(shapes[1]) != 2:
            raise ValueError(f"weights must be (O, I), not {shapes[1]}")
        o, i = shapes[1]
        elements = int(np.prod(shapes[0]))
        if self.keep_dims:
            if shapes[0][-1] != i:
                raise ValueError(f"weights {shapes[1]} on an input {shapes[0]}")
            return ((*shapes[0][:-1], o),)
        if elements % i:
            raise ValueError(f"weights {shapes[1]} on an input {shapes[0]}")
        return ((elements // i, o),)

    def accumulate(self, x: Array, w: Array) -> Array:
        sums: Array = x.reshape(-1, w.shape[1]) @ w.T
        return sums

    def macs(self, types: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        return outputs[0].elements * types[1].shape[1]

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        if options["weights_format"]:
            raise ValueError("shuffled weights (only the default weights format is supported)")
        keep = bool(options["keep_num_dims"]) and len(operands[0].type.shape) != 2
        return cls(activation_of(options), keep), tuple(range(len(operands)))

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"fused_activation_function": int(self.activation), "keep_num_dims": self.keep_dims}, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        def case(
            label: str,
            shape: Shape,
            o: int,
            per_channel: bool = False,
            act: Activation = Activation.NONE,
            in_zp: int = -9,
            out_zp: int = 4,
            keep: bool = False,
            saturate: bool = False,
            has_bias: bool = True,
        ) -> Case:
            i = shape[-1] if keep or len(shape) == 2 else int(np.prod(shape[1:]))
            weight, bias = random_filter(rng, (o, i), 0, 0.04, o, saturate)
            if not per_channel:
                scale = 0.0123
                weight = Operand(TensorType((o, i), DType.INT8, Quant.per_tensor(scale, 0)), weight.data)
                data = random_bias(rng, np.full(o, scale, np.float32), 0.04).data
                bias = Operand(TensorType((o,), DType.INT32, Quant.per_tensor(scale * 0.04, 0)), data)
            op = cls(act, keep)
            x = int8(shape, 0.04, in_zp)
            (out,) = op.infer_shapes(shape, (o, i))
            y = int8(out, 0.04 * 0.0123 * 74 * 74 * float(np.sqrt(i)) / 60, out_zp)
            return Case(label, op, (Operand(x), weight, bias)[: 3 if has_bias else 2], (y,))

        yield from (with_int16(case("plain", (1, 16), 10)), with_four_bits(case("plain", (1, 15), 9)))
        yield with_int16(case("per_channel", (1, 23), 9, per_channel=True, act=Activation.RELU))
        yield case("plain", (1, 16), 10)
        yield case("odd", (1, 37), 3, in_zp=-128, out_zp=-128, act=Activation.RELU)
        yield case("flattens", (1, 3, 3, 4), 6, act=Activation.RELU6, out_zp=-128)
        yield case("per_channel", (1, 24), 9, per_channel=True)
        yield case("one_output", (1, 64), 1, out_zp=127)
        yield case("large", (1, 260), 33, in_zp=127)
        yield case("saturated", (1, 40), 8, saturate=True, in_zp=-128)
        yield case("rows", (5, 12), 7)
        yield case("rows_keep", (1, 3, 11), 6, keep=True)
        yield case("map_keep", (1, 3, 4, 8), 6, keep=True, per_channel=True)
        yield case("no_bias", (1, 20), 7, has_bias=False)
        yield case("relu_n1_to_1", (1, 20), 12, per_channel=True, act=Activation.RELU_N1_TO_1)
        yield with_zeros(case("sparse", (1, 130), 11, in_zp=-128), rng, 0.85)
        yield with_zeros(case("sparse_rows", (5, 40), 6, per_channel=True), rng, 0.7)
        yield cls._left_shift(rng)
        yield cls._large_bias(rng)

    @classmethod
    def _left_shift(cls, rng: np.random.Generator) -> Case:
        """A factor above 1 from accumulators to codes: a few products of small weights."""
        data = rng.integers(-2, 3, (5, 3)).astype(np.int8)
        weight = Operand(TensorType((5, 3), DType.INT8, Quant.per_tensor(0.5, 0)), data)
        bias = Operand(TensorType((5,), DType.INT32, Quant.per_tensor(0.05, 0)), np.array([0, 1, -1, 7, -9], np.int32))
        return Case("left_shift", cls(), (Operand(int8((1, 3), 0.1, 2)), weight, bias), (int8((1, 5), 0.013, -4),))

    @classmethod
    def _large_bias(cls, rng: np.random.Generator) -> Case:
        """Accumulators around and beyond 2**30, which the short way of rescaling cannot take.

        A code is 18 million wide; the biases lie on the edges between codes, so that the products decide.
        """
        data = rng.choice([-127, 127], (6, 300)).astype(np.int8)
        weight = Operand(TensorType((6, 300), DType.INT8, Quant.per_tensor(0.01, 0)), data)
        biases = (np.array([118.5, -118.5, 59.5, -59.5, 29.5, 0.5]) * 18e6).astype(np.int32)
        bias = Operand(TensorType((6,), DType.INT32, Quant.per_tensor(0.001, 0)), biases)
        return Case("large_bias", cls(), (Operand(int8((1, 300), 0.1, 0)), weight, bias), (int8((1, 6), 18000.0, 3),))
