"""Channels as blocks of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..types import Array, Shape
from ._blocks import Blocks
from ._window import check_rank4


@dataclass(frozen=True)
class DepthToSpace(Blocks):
    """(N, H, W, b * b * C) -> (N, H * b, W * b, C): channels become blocks of b by b pixels."""

    name: ClassVar[str] = "depth_to_space"
    tflite_code: ClassVar[int] = 5
    tflite_options: ClassVar[str | None] = "DepthToSpaceOptions"
    examples = (("two", (1, 2, 3, 12), 2), ("three", (1, 3, 2, 18), 3), ("one_channel", (1, 3, 4, 4), 2))

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
