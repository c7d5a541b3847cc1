"""Convolution three wide by Winograd's F(2,3) along the row, in exact integers."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ...ops.conv2d import Conv2D
from ...types import Array
from .._overlap import staged_in_steps
from ..base import SPARE_FLASH, Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import begins, channels, filters, groups, reach
from .dsp import BY_FOUR, HIGH_LIMIT, constants, pack

UNROLLED = 8  # steps that the assembly takes at a time
LIMIT = 1 << 30  # the sums of two products are twice an accumulator


class ConvWinograd(Kernel):
    name: ClassVar[str] = "conv_winograd"
    header: ClassVar[str] = "conv/winograd.h"
    ops = (Conv2D,)
    requires = frozenset({"dsp", SPARE_FLASH})  # two bytes a weight

    def supports(self, work: Work) -> bool:
        w, op = filters(work), work.op
        assert isinstance(op, Conv2D)
        plain = groups(work) == 1 and op.stride[1] == 1 and op.dilation[1] == 1 and w.shape[2] == 3
        if not plain or w.shape[0] % 4 or w.shape[3] % 4:
            return False
        # What bounds an accumulator bounds its halves too: |g0 + g2| + |g1| and |g0|, |g2| are no more than the sum.
        most = np.abs(channels(work).bias) + 128 * np.abs(w.astype(np.int64)).sum(axis=(1, 2, 3))
        upper = slice(1, None, 2)
        return bool(most.max() < LIMIT and most[upper].max() < HIGH_LIMIT and w[upper][:, :, ::2].min() > -128)

    def instructions(self, work: Work) -> float:
        tiles = work.output.shape[1] * -(-work.output.shape[2] // 4)  # of four pixels
        multiplied = work.output.shape[3] / 4 * (4 * self._steps(work) * 13.3 + 160)
        return float(tiles * (multiplied + filters(work).shape[1] * filters(work).shape[3] * 10 + 60))

    @staticmethod
    def _steps(work: Work) -> int:
        """Pairs of elements of one product, padded."""
        w = filters(work)
        return -(-int(w.shape[1] * w.shape[3]) // 2 // UNROLLED) * UNROLLED

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def banding(self, work: Work, rows: int) -> float:
        # A single row of a pair costs as much to transform as both.
        _, kernel_h, _, in_c = filters(work).shape
        alone = -(-work.rows // rows) * (rows % 2) if self._together(work) == 2 else 0
        return float(super().banding(work, rows) + alone * -(-work.output.shape[2] // 4) * kernel_h * in_c * 10)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        _, out_h, out_w, out_c = work.output.shape
        row, column = np.divmod(np.arange(out_h * out_w), out_w)
        steps = row // self._together(work) * -(-out_w // 4) + column // 4
        distance = staged_in_steps(begins(work), steps, out_c)
        return Overlap(-work.types[0].bytes if distance is None else distance)

    @staticmethod
    def _together(work: Work) -> int:
        """Rows at a time."""
        assert isinstance(work.op, Conv2D)
        return 2 if work.op.stride[0] == work.op.dilation[0] == 1 else 1

    def call(self, work: Work) -> Call:
        w, op = filters(work), work.op
        assert isinstance(op, Conv2D)
        _, kernel_h, _, in_c = w.shape
        records, geometry = constants(work)
        records[:, 0] *= 2
        tables = (
            Table("weights", "uint32_t", transform(w, self._steps(work))),
            Table("channels", "ratti_channel", records),
        )
        together = self._together(work)
        tiles = 4 * (kernel_h + together - 1) * in_c + 2 * self._steps(work) - kernel_h * in_c
        beyond = w.shape[0] if work.output.shape[2] % 4 else 0
        return Call("ratti_conv_winograd", {"sizes": geometry}, tables, 4 * tiles + 6 * in_c + beyond)


def transform(w: Array, steps: int) -> Array:
    """(O, KH, 3, I) int8 to the words that winograd.h reads: (words,) uint32."""
    g0, g1, g2 = (w[:, :, k].reshape(len(w), -1).astype(np.int64) for k in range(3))
    pad = ((0, 0), (0, 2 * steps - g0.shape[1]))
    g0, g1, g2 = (np.pad(g, pad) for g in (g0, g1, g2))
    products = [_pairs(g0 + g2 + g1), _pairs(g0 + g2 - g1), *(pack(g).reshape(len(g) // 4, -1) for g in (g0, g2))]
    words: Array = np.concatenate(products, axis=1).ravel().astype(np.uint32)
    return words


def _pairs(g: Array) -> Array:
    """(O, elements) as words of two int16: (O / 4, steps * 4), four channels side by side."""
    ordered = g.reshape(len(g), -1, 4)[:, :, BY_FOUR].reshape(len(g), -1)
    words = (ordered[:, 0::2] & 0xFFFF) | (ordered[:, 1::2] & 0xFFFF) << 16
    fours: Array = words.reshape(len(g) // 4, 4, -1).transpose(0, 2, 1).reshape(len(g) // 4, -1)
    return fours
