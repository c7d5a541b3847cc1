"""What both ways to resize a map share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._window import check_rank4
from .base import Case, Constraint, Op, Operand, constant_integers, constraint, int8, same_quantization

LARGEST_SIDE = 1 << 15


@constraint
def one_alignment(op: Resize, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """a resize aligns corners or half pixels, not both"""
    return not (op.align_corners and op.half_pixel_centers)


@dataclass(frozen=True)
class Resize(Op):
    """(N, H, W, C) -> (N, *size, C)."""

    size: tuple[int, int]
    align_corners: bool = False
    half_pixel_centers: bool = False

    constraints: ClassVar[tuple[Constraint, ...]] = (same_quantization, one_alignment)

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        check_rank4(shapes[0])
        n, _, _, c = shapes[0]
        if not 0 < min(self.size) <= max(self.size) <= LARGEST_SIDE:
            raise ValueError(f"a resize to {self.size}; sides must lie between 1 and {LARGEST_SIDE}")
        return ((n, *self.size, c),)

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        size = constant_integers(operands[1], "sizes").ravel().tolist()
        if len(size) != 2:
            raise ValueError(f"a resize to {size}; it takes height and width")
        return cls((size[0], size[1]), bool(options["align_corners"]), bool(options["half_pixel_centers"])), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        options = {"align_corners": self.align_corners, "half_pixel_centers": self.half_pixel_centers}
        return options, (np.array(self.size, np.int32),)

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, size in (
            ("twice", (1, 3, 4, 5), (6, 8)),
            ("odd", (1, 4, 5, 3), (7, 9)),
            ("smaller", (1, 8, 7, 2), (5, 3)),
            ("one_row", (1, 5, 4, 3), (1, 6)),
            ("from_one_pixel", (1, 1, 2, 6), (4, 5)),
        ):
            for align, half in ((False, False), (True, False), (False, True)):
                op = cls(size, align, half)
                (out,) = op.infer_shapes(shape)
                name = label + "_corners" * align + "_half" * half
                yield Case(name, op, (Operand(int8(shape, 0.1, 5)),), (int8(out, 0.1, 5),))
