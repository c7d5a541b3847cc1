"""Resize by linear interpolation in both directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..types import Array, DType, TensorType
from ._resize import Resize

FRACTION_BITS = 10  # of a position, as TFLite has them


@dataclass(frozen=True)
class ResizeBilinear(Resize):
    """(N, H, W, C) -> (N, *size, C): the four nearest positions, weighted by their distance."""

    name: ClassVar[str] = "resize_bilinear"
    tflite_code: ClassVar[int] = 23
    tflite_options: ClassVar[str | None] = "ResizeBilinearOptions"

    def positions(self, axis: int, size: int) -> tuple[Array, Array, Array]:
        """(first, second, weight of the second in 1/1024) for each output row (axis 0) or column (axis 1)."""
        out, one = self.size[axis], 1 << FRACTION_BITS
        corners = self.align_corners and out > 1
        top, bottom = (size - 1, out - 1) if corners else (size, out)
        scale = (one * top + bottom // 2) // bottom
        at = np.arange(out) * scale
        if self.half_pixel_centers:
            at += scale // 2 - one // 2
        # Divisions toward zero: a position just outside belongs to the first element.
        first = np.maximum(np.trunc(at / one).astype(np.int64), 0)
        second = np.minimum(np.trunc((at + one - 1) / one).astype(np.int64), size - 1)
        return first, second, at - one * first

    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        _, h, w, _ = types[0].shape
        if outputs[0].dtype is DType.FLOAT32:
            return (self._real(inputs[0].astype(np.float64), h, w).astype(np.float32),)
        (y0, y1, dy), (x0, x1, dx) = self.positions(0, h), self.positions(1, w)
        x, one = inputs[0].astype(np.int64), 1 << FRACTION_BITS
        dy, dx = dy[:, None, None], dx[:, None]
        upper = x[:, y0][:, :, x0] * (one - dx) + x[:, y0][:, :, x1] * dx
        lower = x[:, y1][:, :, x0] * (one - dx) + x[:, y1][:, :, x1] * dx
        total = upper * (one - dy) + lower * dy
        half = 1 << (2 * FRACTION_BITS - 1)
        codes = np.sign(total) * ((np.abs(total) + half) >> 2 * FRACTION_BITS)
        return (codes.astype(outputs[0].dtype.numpy),)

    def real_positions(self, axis: int, size: int) -> tuple[Array, Array, Array]:
        """(first, second, weight of the second) of real values, for each output row (axis 0) or column (axis 1)."""
        out = self.size[axis]
        corners = self.align_corners and out > 1
        scale = (size - 1) / (out - 1) if corners else size / out
        at = np.arange(out) * scale
        if self.half_pixel_centers:
            at = np.clip((np.arange(out) + 0.5) * scale - 0.5, 0, None)
        first = np.clip(np.floor(at).astype(np.int64), 0, size - 1)
        return first, np.minimum(first + 1, size - 1), at - first

    def _real(self, x: Array, h: int, w: int) -> Array:
        for axis, size in ((1, h), (2, w)):
            first, second, share = self.real_positions(axis - 1, size)
            weight = share.reshape([-1 if d == axis else 1 for d in range(4)])
            x = x.take(first, axis) * (1 - weight) + x.take(second, axis) * weight
        return x
