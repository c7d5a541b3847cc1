"""Convolution in groups with the dual 16-bit multiply."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...ops.conv2d import Conv2D
from ...types import Array
from .._channels import accumulator_bounds
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import by_group, channels, depth, filters, groups, pixels, reach, single_pixels, staged_overlap
from .dsp import HIGH_LIMIT, constants, pack, paired


class ConvDspGroups(Kernel):
    name: ClassVar[str] = "conv_dsp_groups"
    header: ClassVar[str] = "conv/dsp_groups.h"
    ops = (Conv2D,)
    requires = frozenset({"dsp"})

    def supports(self, work: Work) -> bool:
        if groups(work) == 1:
            return False
        w, order = filters(work).reshape(work.output.shape[-1], -1), by_group(work)
        low, high = accumulator_bounds(w, channels(work).bias)
        most, least = np.maximum(-low, high)[order], w[order].min(axis=1)
        upper = np.arange(len(order)) % (len(order) // groups(work)) % 2 == 1
        # As in conv_dsp: what the upper channel of a pair can hold.
        return bool(least[upper].min(initial=0) > -128 and most[upper].max(initial=0) < HIGH_LIMIT)

    def instructions(self, work: Work) -> float:
        outputs = work.output.shape[-1] // groups(work)
        padded = -(-outputs // 4) * 4 / outputs
        copied = pixels(work) * groups(work) * (20 + depth(work) * 3)
        return (work.macs * 0.9 + work.output.elements * 9) * padded + work.output.elements * 4 + copied

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def banding(self, work: Work, rows: int) -> float:
        return super().banding(work, rows) + single_pixels(work, rows) * depth(work) * work.output.shape[-1] * 0.9

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return staged_overlap(work, 2)

    def call(self, work: Work) -> Call:
        order, count = by_group(work), groups(work)
        padded, outputs = -(-depth(work) // 4) * 4, -(-len(order) // count // 4) * 4
        records, geometry = constants(work)
        w = np.split(filters(work).reshape(len(order), -1)[order], count)
        tables = (
            Table("weights", "uint32_t", np.concatenate([pack(part) for part in w])),
            Table("channels", "ratti_channel", _joined(np.split(records[order], count))),
        )
        return Call(
            "ratti_conv_dsp_groups", {"sizes": geometry}, tables, 4 * count * padded + 2 * padded + 2 * outputs
        )


def _joined(records: list[Array]) -> Array:
    return np.concatenate([paired(part) for part in records])
