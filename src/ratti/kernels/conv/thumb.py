"""Convolution for Armv6-M: sums in the high registers, unsigned inputs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...types import Array
from .._channels import accumulator_bounds
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import LINEAR, channels, depth, filters, groups, pixels, reach, single_pixels, sizes, staged_overlap

LIMIT = 1 << 31
OFFSET = 128  # that inputs are stored with


class ConvThumb(Kernel):
    name: ClassVar[str] = "conv_thumb"
    header: ClassVar[str] = "conv/thumb.h"
    ops = LINEAR
    requires = frozenset({"thumb"})

    def supports(self, work: Work) -> bool:
        if groups(work) != 1:
            return False
        low, high = accumulator_bounds(self._filters(work), self._bias(work) + OFFSET * self._filters(work).sum(axis=1))
        return bool(max(-low.min(), high.max()) < LIMIT)

    @staticmethod
    def _filters(work: Work) -> Array:
        return filters(work).reshape(work.output.shape[-1], -1).astype(np.int64)

    def _bias(self, work: Work) -> Array:
        """The bias for inputs that are `OFFSET` too large."""
        shifted: Array = channels(work).bias - OFFSET * self._filters(work).sum(axis=1)
        return shifted

    def instructions(self, work: Work) -> float:
        waste = 2 if pixels(work) == 1 else 1
        return work.macs * 3.8 * waste + work.output.elements * 45 + pixels(work) * depth(work) * 5

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def banding(self, work: Work, rows: int) -> float:
        return super().banding(work, rows) + single_pixels(work, rows) * depth(work) * work.output.shape[-1] * 3.8

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return staged_overlap(work, 2)

    def call(self, work: Work) -> Call:
        w = self._filters(work)
        w = np.pad(w, ((0, len(w) % 2), (0, -w.shape[1] % 4)))
        packed = w.reshape(-1, 2, w.shape[1]).transpose(0, 2, 1).ravel()
        records = channels(work).table.data.copy()
        records[:, 0] = self._bias(work)
        tables = (Table("weights", "int8_t", packed), Table("channels", "ratti_channel", records))
        return Call("ratti_conv_thumb", {"sizes": sizes(work)}, tables, 2 * w.shape[1])
