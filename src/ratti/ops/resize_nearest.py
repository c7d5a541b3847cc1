"""Resize by the nearest element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array
from ._move import Move
from ._resize import Resize


@dataclass(frozen=True)
class ResizeNearest(Resize, Move):
    """(N, H, W, C) -> (N, *size, C): each output element is that of the nearest input position."""

    name: ClassVar[str] = "resize_nearest"
    constraints = Resize.constraints
    tflite_code: ClassVar[int] = 97
    tflite_options: ClassVar[str | None] = "ResizeNearestNeighborOptions"

    def positions(self, axis: int, size: int) -> Array:
        """The input rows (axis 0) or columns (axis 1) that the output takes; in float32, as TFLite computes them."""
        out = self.size[axis]
        f = np.float32
        corners = self.align_corners and out > 1
        scale = f(size - 1) / f(out - 1) if corners else f(size) / f(out)
        at = (np.arange(out, dtype=f) + f(0.5 if self.half_pixel_centers else 0)) * scale
        rounded = np.floor(at + f(0.5)) if self.align_corners else np.floor(at)
        positions: Array = np.clip(rounded.astype(np.int64), 0, size - 1)
        return positions

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        _, h, w, _ = arrays[0].shape
        return (arrays[0][:, self.positions(0, h)][:, :, self.positions(1, w)],)
