"""Convolution and fully connected layers with the vectors of Arm's application processors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...types import Array
from .._channels import in_tiles
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import LINEAR, channels, depth, filters, groups, is_pointwise, pixels, reach, sizes, tiled_overlap

TILE_O, TILE_P = 8, 4


class ConvNeon(Kernel):
    name: ClassVar[str] = "conv_neon"
    header: ClassVar[str] = "conv/neon.h"
    ops = LINEAR
    requires = frozenset({"neon"})

    def supports(self, work: Work) -> bool:
        # Two products are added as int16, where (-128)**2 twice would not fit.
        return groups(work) == 1 and bool(filters(work).min() > -128)

    def instructions(self, work: Work) -> float:
        copied = 0.0 if is_pointwise(work) else pixels(work) * depth(work) * 0.5
        return work.macs * 0.3 + work.output.elements * 3 + copied

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return tiled_overlap(work, TILE_O, TILE_P, is_pointwise(work))

    def call(self, work: Work) -> Call:
        weights = Table("weights", "int8_t", pack(filters(work).reshape(work.output.shape[-1], -1)))
        found = channels(work).table
        records = Table(found.role, found.ctype, in_tiles(found.data, TILE_O))
        windows = 0 if is_pointwise(work) else TILE_P * depth(work)
        return Call("ratti_conv_neon", {"sizes": sizes(work)}, (weights, records), windows)


def pack(w: Array) -> Array:
    """(O, depth) int8 as neon.h reads it: (O / 8, depth / 4, 8, 4), flat, with zeros to whole tiles."""
    padded = np.pad(in_tiles(w, TILE_O), ((0, 0), (0, -w.shape[1] % 4)))
    tiles = padded.reshape(-1, TILE_O, padded.shape[1] // 4, 4)
    return np.ascontiguousarray(tiles.transpose(0, 2, 1, 3)).ravel()
