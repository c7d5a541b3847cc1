"""Convolution with the dual 16-bit multiply, two channels' weights in each halfword."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...types import Array
from .._channels import accumulator_bounds
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import (
    LINEAR,
    channels,
    depth,
    filters,
    groups,
    is_pointwise,
    pixels,
    reach,
    single_pixels,
    sizes,
    staged_overlap,
)

HIGH_LIMIT = 1 << 23  # what the upper channel of a halfword pair can hold beside the lower one
BY_FOUR = (0, 2, 1, 3)  # order of four elements after two sign extensions


class ConvDsp(Kernel):
    name: ClassVar[str] = "conv_dsp"
    header: ClassVar[str] = "conv/dsp.h"
    ops = LINEAR
    requires = frozenset({"dsp"})

    def supports(self, work: Work) -> bool:
        if groups(work) != 1:
            return False
        w = filters(work).reshape(work.output.shape[-1], -1)
        low, high = accumulator_bounds(w, channels(work).bias)
        upper = slice(1, None, 2)
        # 256 * -128 + w0 does not fit a halfword where w0 is negative.
        return bool(w[upper].min(initial=0) > -128 and np.maximum(-low, high)[upper].max(initial=0) < HIGH_LIMIT)

    def instructions(self, work: Work) -> float:
        copied = pixels(work) * depth(work) * (1.5 if work.types[0].shape[-1] % 4 == 0 else 3)
        return work.macs * 0.9 + work.output.elements * 10 + copied

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def banding(self, work: Work, rows: int) -> float:
        return super().banding(work, rows) + single_pixels(work, rows) * depth(work) * work.output.shape[-1] * 0.9

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return staged_overlap(work, 2)

    def call(self, work: Work) -> Call:
        elements = depth(work)
        padded = -(-elements // 4) * 4
        staged = 0 if is_pointwise(work) or filters(work).shape[3] % 4 == 0 else elements
        weights = Table("weights", "uint32_t", pack(filters(work).reshape(work.output.shape[-1], -1)))
        table = channels(work).table
        return Call("ratti_conv_dsp", {"sizes": sizes(work)}, (weights, table), 4 * padded + staged)


def pack(w: Array) -> Array:
    """(O, depth) int8 to words for tiles of four channels, in the order that dsp.h reads: (words,) uint32."""
    flat = np.pad(w.astype(np.int64), ((0, -len(w) % 4), (0, -w.shape[1] % 4)))
    flat = flat.reshape(len(flat), -1, 4)[:, :, BY_FOUR].reshape(len(flat), -1)
    halves = flat[1::2] * 256 + flat[0::2]  # (O / 2, depth): two channels in a halfword
    words = (halves[:, 0::2] & 0xFFFF) | (halves[:, 1::2] & 0xFFFF) << 16  # (O / 2, depth / 2)
    packed: Array = words.reshape(-1, 2, words.shape[1]).transpose(0, 2, 1).ravel().astype(np.uint32)
    return packed
