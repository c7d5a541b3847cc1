"""Tiled convolution for cores without vector instructions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .._overlap import groups_of
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import LINEAR, channels, depth, filters, groups, is_pointwise, pixels, reach, sizes, staged_overlap


class ConvScalar(Kernel):
    name: ClassVar[str] = "conv_scalar"
    header: ClassVar[str] = "conv/scalar.h"
    ops = LINEAR

    def supports(self, work: Work) -> bool:
        return groups(work) == 1

    def instructions(self, work: Work) -> float:
        per_mac = 3.0 if "registers32" in work.features else 7.0 if "multiply" in work.features else 15.0
        copied = 0 if is_pointwise(work) else pixels(work) * depth(work) * 4
        return work.macs * per_mac + work.output.elements * 25 + copied

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        tile_o, tile_p = _tile(work)
        found = staged_overlap(work, tile_p)
        in_c, out_c = work.types[0].shape[-1], work.output.shape[-1]
        stored = out_c - (1 if out_c % tile_o else tile_o)  # channels of a pixel, before its inputs are read last
        if not is_pointwise(work) or not stored:
            return found
        # Read where they lie, the inputs of a tile are needed until its last channels.
        ends = groups_of(pixels(work), tile_p)
        begins = np.concatenate([[0], ends[:-1]])
        return Overlap(max(found.distance, int(((ends - 1) * out_c + stored - begins * in_c).max())))

    def call(self, work: Work) -> Call:
        tile_o, tile_p = _tile(work)
        w = filters(work).reshape(work.output.shape[-1], -1)
        full = len(w) // tile_o * tile_o
        tiled = w[:full].reshape(-1, tile_o, w.shape[1]).transpose(0, 2, 1)
        packed = np.concatenate([tiled.ravel(), w[full:].ravel()])
        return Call(
            "ratti_conv_scalar",
            {"sizes": sizes(work), "tile": ("ratti_tile", {"o": tile_o, "p": tile_p})},
            (Table("weights", "int8_t", packed), channels(work).table),
            0 if is_pointwise(work) else tile_p * depth(work),
        )


def _tile(work: Work) -> tuple[int, int]:
    """Output channels by pixels that fit the register file."""
    tile_o, tile_p = (4, 4) if "registers32" in work.features else (2, 2)
    return min(tile_o, work.output.shape[-1]), min(tile_p, pixels(work))
