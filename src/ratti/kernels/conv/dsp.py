"""Convolution with the dual 16-bit multiply, two channels' weights in each halfword."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...types import Array
from .._channels import Rounding, accumulator_bounds
from ..base import Call, Kernel, Overlap, Reach, Struct, Table, Work
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
MOST_SHIFT = 22  # of two roundings in one step: the zero point, shifted, stays below 2^30
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
        return work.macs * (0.9 if pixels(work) > 1 else 1.25) + work.output.elements * 10 + copied

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def banding(self, work: Work, rows: int) -> float:
        return super().banding(work, rows) + single_pixels(work, rows) * depth(work) * work.output.shape[-1] * 0.9

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return staged_overlap(work, 2)

    def call(self, work: Work) -> Call:
        elements, in_c = depth(work), filters(work).shape[3]
        padded = -(-elements // 4) * 4
        behind = 2 * padded if in_c % 4 else 0 if is_pointwise(work) else in_c
        weights = Table("weights", "uint32_t", pack(filters(work).reshape(work.output.shape[-1], -1)))
        records, geometry = constants(work)
        table = Table("channels", "ratti_channel", paired(records))
        return Call("ratti_conv_dsp", {"sizes": geometry}, (weights, table), 4 * padded + behind)


def constants(work: Work) -> tuple[Array, Struct]:
    """The channel records and the `ratti_conv` struct as dsp.h takes them: shifts less one, and none too far."""
    found, (name, fields) = channels(work), sizes(work)
    records, output = found.table.data.copy(), dict(found.output[1])
    if output["rounding"] == Rounding.DOUBLE.value:
        if records[:, 2].max() > MOST_SHIFT:
            output["rounding"] = Rounding.GENERAL.value
        else:
            records[:, 2] -= 1
    return records, (name, {**fields, "out": (found.output[0], output)})


def paired(records: Array) -> Array:
    """Channel records padded to a multiple of four, with 256 * bias1 + bias0 (modulo 2^32) for the second of a pair."""
    padded = np.pad(records, ((0, -len(records) % 4), (0, 0)))
    padded[1::2, 0] = (256 * padded[1::2, 0] + padded[0::2, 0]).astype(np.int32)
    return padded


def pack(w: Array) -> Array:
    """(O, depth) int8 to words for tiles of four channels, in the order that dsp.h reads: (words,) uint32."""
    flat = np.pad(w.astype(np.int64), ((0, -len(w) % 4), (0, -w.shape[1] % 4)))
    flat = flat.reshape(len(flat), -1, 4)[:, :, BY_FOUR].reshape(len(flat), -1)
    halves = flat[1::2] * 256 + flat[0::2]  # (O / 2, depth): two channels in a halfword
    words = (halves[:, 0::2] & 0xFFFF) | (halves[:, 1::2] & 0xFFFF) << 16  # (O / 2, depth / 2)
    packed: Array = words.reshape(-1, 2, words.shape[1]).transpose(0, 2, 1).ravel().astype(np.uint32)
    return packed
