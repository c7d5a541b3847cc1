"""Any op that moves elements, as a list of boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ...ops._move import Move
from ...types import DType
from .._overlap import copied
from ..base import SCARCE_FLASH, Call, Kernel, Overlap, Reach, Table, Work
from ._boxes import INNER, Box, boxes, runs

MOST_BOXES = 256


class MoveBoxes(Kernel):
    name: ClassVar[str] = "move"
    header: ClassVar[str] = "move/boxes.h"
    ops = (Move,)
    activations = (DType.INT8, DType.INT16)

    def supports(self, work: Work) -> bool:
        if len(work.outputs) > 1:
            return False
        found = boxes(work)
        return found is not None and 0 < len(found) <= MOST_BOXES

    def instructions(self, work: Work) -> float:
        found = boxes(work)
        assert found is not None
        copies = sum(b.rows * math.prod(n for n, _, _ in b.inner[:-1]) for b in found)
        return work.output.bytes * (3 if _single(found) else 2) + copies * 20

    def banding(self, work: Work, rows: int) -> float:
        found = boxes(work)
        assert found is not None
        return -(-work.rows // rows) * (80 + 6 * sum(b.rows for b in found))  # every call looks at all rows

    def reach(self, work: Work) -> Reach | None:
        found = boxes(work)
        assert found is not None
        if any(len(t.shape) != 4 for t in (*work.types, work.output)) or _is_filled(work, found):
            return None
        first, end = np.full(work.rows, 1 << 40), np.zeros(work.rows, np.int64)
        for box in found:
            row = work.types[box.operand].bytes // work.types[box.operand].shape[1]
            source, length, _ = runs(box, 0)
            source = source.reshape(box.rows, -1)
            rows_of = box.row_first + box.row_step * np.arange(box.rows)
            np.minimum.at(first, rows_of, source.min(axis=1) // row)
            np.maximum.at(end, rows_of, (source.max(axis=1) + length - 1) // row + 1)
        stride = int(first[1] - first[0]) if work.rows > 1 else 1
        before = np.arange(work.rows) * stride - first
        if stride < 1 or (before != before[0]).any():
            return None
        return Reach(stride, int(before[0]), int((end - first).max()))

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        found = boxes(work)
        assert found is not None
        if _is_filled(work, found):
            return None
        moved = [runs(b, _row_bytes(work)) for b in found]
        own = np.concatenate([np.full(len(m[0]), b.operand == operand) for m, b in zip(moved, found, strict=True)])
        source, ends = np.concatenate([m[0] for m in moved]), np.concatenate([m[2] + m[1] for m in moved])
        distance = copied(source, ends, own)
        return Overlap(-work.types[operand].bytes if distance is None else distance)

    def call(self, work: Work) -> Call:
        found = boxes(work)
        assert found is not None
        order = [k for k, o in enumerate(work.operands) if o.data is None]
        constants = [k for k, o in enumerate(work.operands) if o.data is not None]
        places = {k: p for p, k in enumerate((*order, *constants))}
        data = np.array([_record(b, places[b.operand]) for b in found], np.int64)
        # Where the compiler does not know the counts and steps, a channel shuffle takes three times the instructions.
        tables = [Table("boxes", "ratti_move_box", data, known=SCARCE_FLASH not in work.features)]
        for k in constants:
            held = work.operands[k].data
            assert held is not None
            tables.append(Table(f"operand_{k}", f"{work.output.dtype.value}_t", held.ravel()))
        constant_fields = {
            "count": len(found),
            "row_bytes": _row_bytes(work),
            "filled": int(_is_filled(work, found)),
            "fill": work.output.zero_point if work.output.quant else 0,
        }
        return Call("ratti_move_boxes", constant_fields, tuple(tables), inputs_as_array=True)


def _single(found: Sequence[Box]) -> bool:
    """True where elements are copied one by one."""
    return any(b.inner and b.inner[-1][1:] != (1, 1) for b in found)


def _is_filled(work: Work, found: Sequence[Box]) -> bool:
    """True where boxes leave a part of the output to be filled."""
    return sum(b.rows * math.prod(n for n, _, _ in b.inner) for b in found) < work.output.bytes


def _row_bytes(work: Work) -> int:
    return work.output.bytes // work.rows


def _record(box: Box, operand: int) -> list[int]:
    """A `ratti_move_box`."""
    inner = [(1, 0, 0)] * (INNER - len(box.inner)) + list(box.inner)
    head = [operand, box.in_offset, box.in_row, box.row_first, box.row_step, box.rows, box.out_offset]
    return head + [v for dimension in inner for v in dimension]
