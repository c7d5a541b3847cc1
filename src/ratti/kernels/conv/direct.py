"""Convolution from its definition: groups, and no scratch."""

from __future__ import annotations

from typing import ClassVar

from .._overlap import stored_singly
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import LINEAR, begins, channels, filters, owners, reach, sizes


class ConvDirect(Kernel):
    name: ClassVar[str] = "conv_direct"
    header: ClassVar[str] = "conv/direct.h"
    ops = LINEAR

    def instructions(self, work: Work) -> float:
        per_mac = 9.0 if "multiply" in work.features else 20.0
        return work.macs * per_mac + work.output.elements * 30

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        distance = stored_singly(begins(work), owners(work) * filters(work).shape[3])
        return Overlap(-work.types[0].bytes if distance is None else distance)

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).ravel())
        return Call("ratti_conv_direct", {"sizes": sizes(work)}, (weights, channels(work).table))
