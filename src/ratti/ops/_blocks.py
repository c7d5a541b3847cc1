"""What the ops share that exchange channels and blocks of pixels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._move import Move
from .base import Case, Operand, int8


@dataclass(frozen=True)
class Blocks(Move):
    """Blocks of `block` by `block` pixels; `examples` are (label, input shape, block) of the cases."""

    block: int

    takes_int16: ClassVar[bool] = False  # nor does TFLite Micro
    examples: ClassVar[tuple[tuple[str, Shape, int], ...]]

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
        for label, shape, block in cls.examples:
            (out,) = cls(block).infer_shapes(shape)
            yield Case(label, cls(block), (Operand(int8(shape, 0.1, 5)),), (int8(out, 0.1, 5),))
