"""Convolution with weights that are mostly zeros, which it neither stores nor multiplies."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np

from ...types import Array
from ..base import Call, Kernel, Overlap, Reach, Table, Work
from ._sizes import LINEAR, channels, depth, filters, groups, is_pointwise, pixels, reach, sizes, tiled_overlap

STEP_MAX = 15  # what four bits hold
# Instructions of an entry, of each product and of each output; the first row whose features there are counts.
COSTS: tuple[tuple[frozenset[str], tuple[float, float, float]], ...] = (
    (frozenset({"dsp"}), (11, 2, 15)),
    (frozenset({"thumb"}), (16, 3.75, 45)),
    (frozenset({"multiply"}), (9, 3, 25)),
    (frozenset(), (4, 14, 25)),
)
MOST_ENTRIES = (1 << 16) - 1  # of a channel


class ConvSparse(Kernel):
    name: ClassVar[str] = "conv_sparse"
    header: ClassVar[str] = "conv/sparse.h"
    ops = LINEAR
    compresses: ClassVar[bool] = True

    def supports(self, work: Work) -> bool:
        w = filters(work)
        if groups(work) != 1 or 3 * np.count_nonzero(w) > 2 * w.size:  # two thirds take as much flash as all
            return False
        stream, counts = compressed(work)
        return bool(stream.size + 2 * counts.size < w.size and counts.max(initial=0) <= MOST_ENTRIES)

    def instructions(self, work: Work) -> float:
        entries = int(compressed(work)[1].sum())
        per_entry, per_product, per_output = next(v for k, v in COSTS if k <= work.features)
        copied = 0 if is_pointwise(work) else pixels(work) * depth(work) * 4
        each = per_entry / _together(work) + 2 * per_product
        return pixels(work) * entries * each + work.output.elements * per_output + copied

    def reach(self, work: Work) -> Reach | None:
        return reach(work)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return tiled_overlap(work, 1, _together(work), is_pointwise(work))

    def call(self, work: Work) -> Call:
        stream, counts = compressed(work)
        together = _together(work)
        tables = (Table("weights", "uint8_t", stream), Table("counts", "uint16_t", counts), channels(work).table)
        scratch = 0 if is_pointwise(work) else together * depth(work)
        return Call("ratti_conv_sparse", {"sizes": sizes(work), "pixels": together}, tables, scratch)


def _together(work: Work) -> int:
    """Pixels that fit the register file."""
    few = "multiply" not in work.features or "thumb" in work.features
    return min(2 if few else 4, pixels(work))


@lru_cache(maxsize=512)
def compressed(work: Work) -> tuple[Array, Array]:
    """(entries uint8 (bytes,), entries of each output channel (O,)), as sparse.h reads them."""
    w = filters(work).reshape(work.output.shape[-1], -1)
    found = [_entries(row) for row in w]
    counts = np.array([len(rows) for rows in found], np.int64)
    return np.concatenate([rows.ravel() for rows in found]), counts


def _entries(row: Array) -> Array:
    """One output channel: (entries, 3) uint8."""
    steps: list[int] = []
    weights: list[int] = []
    at = 0
    for place in np.flatnonzero(row).tolist():
        while place - at > STEP_MAX:
            steps.append(STEP_MAX)
            weights.append(0)
            at += STEP_MAX
        steps.append(place - at)
        weights.append(int(row[place]))
        at = place
    if len(steps) % 2:
        steps.append(0)
        weights.append(0)
    s, codes = np.array(steps, np.int64).reshape(-1, 2), np.array(weights, np.int64).reshape(-1, 2) & 0xFF
    entries: Array = np.concatenate([s[:, :1] | s[:, 1:] << 4, codes], axis=1).astype(np.uint8)
    return entries
