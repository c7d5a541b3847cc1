"""Convolution and fully connected layers with the vectors of Armv8.1-M."""

from __future__ import annotations

from typing import ClassVar

from ..base import Call, Kernel, Table, Work
from ._sizes import LINEAR, channels, depth, filters, groups, is_pointwise, pixels, sizes


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

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).ravel())
        window = 0 if is_pointwise(work) else depth(work)
        return Call("ratti_conv_mve", {"sizes": sizes(work)}, (weights, channels(work).table), window)
