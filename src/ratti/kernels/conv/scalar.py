"""Tiled convolution for cores without vector instructions."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from ...types import Array
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import (
    LINEAR,
    by_group,
    channels,
    depth,
    filters,
    groups,
    is_pointwise,
    pixels,
    reach,
    sizes,
    tiled_overlap,
)


class ConvScalar(Kernel):
    name: ClassVar[str] = "conv_scalar"
    header: ClassVar[str] = "conv/scalar.h"
    ops = LINEAR

    def instructions(self, work: Work) -> float:
        per_mac = 3.0 if "registers32" in work.features else 7.0 if "multiply" in work.features else 15.0
        copied = 0 if self._in_place(work) else pixels(work) * groups(work) * depth(work) * 4
        return work.macs * per_mac + work.output.elements * 25 + copied

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return tiled_overlap(work, *_tile(work), self._in_place(work))

    def call(self, work: Work) -> Call:
        tile_o, tile_p = _tile(work)
        order = by_group(work)
        packed = [_tiled(w, tile_o) for w in np.split(filters(work).reshape(len(order), -1)[order], groups(work))]
        table = channels(work).table
        return Call(
            "ratti_conv_scalar",
            {"sizes": sizes(work), "tile": ("ratti_tile", {"o": tile_o, "p": tile_p})},
            (Table("weights", "int8_t", np.concatenate(packed)), replace(table, data=table.data[order])),
            0 if self._in_place(work) else groups(work) * tile_p * depth(work),
        )

    @staticmethod
    def _in_place(work: Work) -> bool:
        """Whether inputs are read where they lie."""
        return groups(work) == 1 and is_pointwise(work)


def _tiled(w: Array, size: int) -> Array:
    """(O, depth) as tiles of [depth][size], then what is left: (O * depth,)."""
    full = len(w) // size * size
    tiles = w[:full].reshape(-1, size, w.shape[1]).transpose(0, 2, 1)
    return np.concatenate([tiles.ravel(), w[full:].ravel()])


def _tile(work: Work) -> tuple[int, int]:
    """Output channels by pixels that fit the register file."""
    tile_o, tile_p = (4, 4) if "registers32" in work.features else (2, 2)
    return min(tile_o, work.output.shape[-1] // groups(work)), min(tile_p, pixels(work))
