"""Convolution and fully connected layers with the vectors of Armv8.1-M."""

from __future__ import annotations

from typing import ClassVar

from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import LINEAR, channels, depth, filters, groups, is_pointwise, pixels, reach, sizes, staged_overlap


class ConvMve(Kernel):
    name: ClassVar[str] = "conv_mve"
    header: ClassVar[str] = "conv/mve.h"
    ops = LINEAR
    requires = frozenset({"mve"})

    def supports(self, work: Work) -> bool:
        return groups(work) == 1

    def instructions(self, work: Work) -> float:
        vectors = -(-depth(work) // 16)
        copied = 0 if is_pointwise(work) else pixels(work) * depth(work) * 0.7
        return work.output.elements * (vectors * 2.5 + 8) + copied

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        found = staged_overlap(work, 1)
        if not is_pointwise(work):
            return found
        # Read where they lie, a pixel's inputs are needed until its last four channels.
        in_c, out_c = work.types[0].shape[-1], work.output.shape[-1]
        last, stored = pixels(work) - 1, out_c - (out_c % 4 or 4)
        return Overlap(max(found.distance, stored, last * (out_c - in_c) + stored))

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).ravel())
        window = 0 if is_pointwise(work) else depth(work)
        return Call("ratti_conv_mve", {"sizes": sizes(work)}, (weights, channels(work).table), window)
