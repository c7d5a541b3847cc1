"""Channels as blocks of pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._move import Move
from ._window import check_rank4
from .base import Case, Operand, int8


@dataclass(frozen=True)
class DepthToSpace(Move):
    """(N, H, W, b * b * C) -> (N, H * b, W * b, C): channels become blocks of b by b pixels."""

    block: int

    name: ClassVar[str] = "depth_to_space"
    tflite_code: ClassVar[int] = 5
    tflite_options: ClassVar[str | None] = "DepthToSpaceOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        check_rank4(shapes[0])
        (n, h, w, c), b = shapes[0], self.block
        if b < 1 or c % (b * b):
            raise ValueError(f"{c} channels in blocks of {b} by {b}")
        return ((n, h * b, w * b, c // (b * b)),)

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        x, b = arrays[0], self.block
        n, h, w, c = x.shape
        return (
            x.reshape(n, h, w, b, b, c // (b * b)).transpose(0, 1, 3, 2, 4, 5).reshape(n, h * b, w * b, c // (b * b)),
        )

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        return cls(int(options["block_size"])), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {"block_size": self.block}, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, block in (
            ("two", (1, 2, 3, 12), 2),
            ("three", (1, 3, 2, 18), 3),
            ("one_channel", (1, 3, 4, 4), 2),
        ):
            (out,) = cls(block).infer_shapes(shape)
            yield Case(label, cls(block), (Operand(int8(shape, 0.1, 5)),), (int8(out, 0.1, 5),))
