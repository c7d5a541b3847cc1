"""Any op that moves elements, as a list of boxes."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from ...ops._move import Move
from ...types import DType
from ..base import Call, Kernel, Table, Work
from ._boxes import INNER, Box, boxes

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
        runs = sum(b.rows * math.prod(n for n, _, _ in b.inner[:-1]) for b in found)
        single = any(b.inner and b.inner[-1][1:] != (1, 1) for b in found)
        return work.output.bytes * (5 if single else 2) + runs * 20

    def call(self, work: Work) -> Call:
        found = boxes(work)
        assert found is not None
        order = [k for k, o in enumerate(work.operands) if o.data is None]
        constants = [k for k, o in enumerate(work.operands) if o.data is not None]
        places = {k: p for p, k in enumerate((*order, *constants))}
        data = np.array([_record(b, places[b.operand]) for b in found], np.int64)
        covered = sum(b.rows * math.prod(n for n, _, _ in b.inner) for b in found)
        tables = [Table("boxes", "ratti_move_box", data)]
        for k in constants:
            held = work.operands[k].data
            assert held is not None
            tables.append(Table(f"operand_{k}", f"{work.output.dtype.value}_t", held.ravel()))
        constant_fields = {
            "count": len(found),
            "row_bytes": work.output.bytes // work.rows,
            "filled": int(covered < work.output.bytes),
            "fill": work.output.zero_point if work.output.quant else 0,
        }
        return Call("ratti_move_boxes", constant_fields, tuple(tables), inputs_as_array=True)


def _record(box: Box, operand: int) -> list[int]:
    """A `ratti_move_box`."""
    inner = [(1, 0, 0)] * (INNER - len(box.inner)) + list(box.inner)
    head = [operand, box.in_offset, box.in_row, box.row_first, box.row_step, box.rows, box.out_offset]
    return head + [v for dimension in inner for v in dimension]
