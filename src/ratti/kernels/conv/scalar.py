"""Tiled convolution for cores without vector instructions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..base import Call, Kernel, Table, Work
from ._sizes import LINEAR, channels, depth, filters, groups, is_pointwise, pixels, sizes


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
