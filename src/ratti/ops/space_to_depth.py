"""Blocks of pixels as channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..types import Array, Shape
from ._blocks import Blocks
from ._window import check_rank4


@dataclass(frozen=True)
class SpaceToDepth(Blocks):
    """(N, H, W, C) -> (N, H / b, W / b, b * b * C): blocks of b by b pixels become channels."""

    name: ClassVar[str] = "space_to_depth"
    tflite_code: ClassVar[int] = 26
    tflite_options: ClassVar[str | None] = "SpaceToDepthOptions"
    examples = (("two", (1, 4, 6, 3), 2), ("three", (1, 6, 3, 2), 3), ("one_channel", (1, 4, 4, 1), 2))

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        check_rank4(shapes[0])
        (n, h, w, c), b = shapes[0], self.block
        if b < 1 or h % b or w % b:
            raise ValueError(f"a map of {h} by {w} in blocks of {b}")
        return ((n, h // b, w // b, b * b * c),)

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        x, b = arrays[0], self.block
        n, h, w, c = x.shape
        return (
            x.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h // b, w // b, b * b * c),
        )
