"""Ops of two tensors, element by element; a dimension of 1, or one that is missing in front, is repeated."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, DType, Shape, TensorType
from ._accumulate import activation_of
from .base import Activation, Case, Op, Operand, int8


class Binary(Op):
    """(…), (…) -> (…); subclasses say what happens to a pair of elements."""

    operand_names: ClassVar[tuple[str, ...]] = ("input", "other")
    activations: ClassVar[int] = 2
    broadcasts: ClassVar[bool] = True

    @property
    def fused(self) -> Activation:
        """The activation that the op holds."""
        return Activation.NONE

    @abstractmethod
    def real(self, x: Array, y: Array) -> Array:
        """The op on real values."""

    @abstractmethod
    def codes(self, x: Array, y: Array, types: Sequence[TensorType], output: TensorType) -> Array:
        """The op on int64 codes, not yet limited by the activation."""

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        try:
            return (np.broadcast_shapes(*shapes),)
        except ValueError:
            raise ValueError(
                f"operands of shapes {shapes[0]} and {shapes[1]}; neither can be repeated to fit"
            ) from None

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        out = outputs[0]
        if out.dtype is DType.FLOAT32:
            x, y = (a.astype(np.float64) for a in inputs)
            return (self.fused.apply(self.real(x, y)).astype(np.float32),)
        codes = self.codes(inputs[0].astype(np.int64), inputs[1].astype(np.int64), types, out)
        return (np.clip(codes, *self.fused.code_range(out)).astype(out.dtype.numpy),)

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(), (0, 1)

    @classmethod
    def pairs(
        cls, rng: np.random.Generator, x: tuple[float, int], y: tuple[float, int], out: tuple[float, int]
    ) -> Iterator[Case]:
        """Shapes that are equal, repeated or constant, for the quantizations of the operands and the output."""
        shape, channels = (1, 3, 5, 7), (1, 1, 1, 7)
        for label, a, b, constant in (
            ("equal", shape, shape, None),
            ("vectors", (1, 9), (1, 9), None),
            ("channels", shape, channels, None),
            ("columns", shape, (1, 3, 1, 7), None),
            ("rows_first", (1, 1, 5, 7), shape, None),
            ("outer", (1, 3, 1, 1), (1, 1, 5, 7), None),
            ("constant", shape, (7,), 1),
            ("constant_map", shape, shape, 1),
            ("constant_first", (7,), shape, 0),
            ("constant_scalar", shape, (), 1),
            ("scalar_first", (1, 1, 1, 1), shape, 0),
        ):
            operands = [Operand(int8(a, *x)), Operand(int8(b, *y))]
            if constant is not None:
                type = operands[constant].type
                data = np.asarray(rng.integers(-128, 128, type.shape)).astype(np.int8)
                if data.size == 1:
                    data = np.full_like(data, min(max(type.zero_point - 33, -128), 127))
                operands[constant] = Operand(type, data)
            (result,) = cls().infer_shapes(a, b)
            yield Case(label, cls(), (operands[0], operands[1]), (int8(result, *out),))


class Activated(Binary):
    """A binary op with an activation among its attributes."""

    activation: Activation

    @property
    def fused(self) -> Activation:
        return self.activation

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(activation_of(options)), (0, 1)  # type: ignore[call-arg]

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"fused_activation_function": int(self.activation)}, ()
