"""Convolution from its definition: groups, and no scratch."""

from __future__ import annotations

from typing import ClassVar

from ..base import Call, Kernel, Table, Work
from ._sizes import LINEAR, channels, filters, groups, sizes


class ConvDirect(Kernel):
    name: ClassVar[str] = "conv_direct"
    header: ClassVar[str] = "conv/direct.h"
    ops = LINEAR

    def instructions(self, work: Work) -> float:
        per_mac = 9.0 if "multiply" in work.features else 20.0
        return work.macs * per_mac + work.output.elements * 30

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", filters(work).ravel())
        return Call(
            "ratti_conv_direct", {"sizes": sizes(work), "groups": groups(work)}, (weights, channels(work).table)
        )
