"""Products of matrices from their definition."""

from __future__ import annotations

from typing import ClassVar

from ...ops.base import Activation
from ...ops.batch_matmul import BatchMatmul
from .._channels import Rounding, output_struct
from .._steps import Dimension, Steps, steps
from ..base import Call, Constant, Kernel, Table, Work


class MatmulDirect(Kernel):
    name: ClassVar[str] = "matmul_direct"
    header: ClassVar[str] = "matmul/direct.h"
    ops = (BatchMatmul,)

    def supports(self, work: Work) -> bool:
        return len(_batches(work)[1]) <= 1

    def instructions(self, work: Work) -> float:
        return work.macs * 8 + work.output.elements * 30

    def call(self, work: Work) -> Call:
        op = work.op
        assert isinstance(op, BatchMatmul)
        first, second = (t.shape for t in work.types)
        row, batches = _batches(work)
        count, step = batches[0] if batches else (1, (0, 0))
        multiplier, shift = op.multiplier(work.types, work.output)
        in_steps = (1, first[-1]) if op.transposed else (first[-1], 1)
        other_steps = (second[-1], 1) if op.transposed_other else (1, second[-1])
        order = sorted(range(2), key=lambda k: work.operands[k].data is not None)
        fields: dict[str, Constant] = {
            "batches": count,
            "m": work.output.shape[-2],
            "n": work.output.shape[-1],
            "k": op.depth(first),
            "in_row": row[0],
            "in_batch": step[0],
            "in_m": in_steps[0],
            "in_k": in_steps[1],
            "in_zero": work.types[0].zero_point,
            "other_row": row[1],
            "other_batch": step[1],
            "other_n": other_steps[0],
            "other_k": other_steps[1],
            "other_zero": work.types[1].zero_point,
            "first": order.index(0),
            "second": order.index(1),
            "multiplier": multiplier,
            "shift": -shift,
            "out": output_struct(work.output, Activation.NONE, Rounding.GENERAL),
        }
        tables = tuple(
            Table(f"operand_{k}", "int8_t", o.data.ravel()) for k, o in enumerate(work.operands) if o.data is not None
        )
        return Call("ratti_matmul", {"sizes": ("ratti_matmul_sizes", fields)}, tables, inputs_as_array=True)


def _batches(work: Work) -> tuple[Steps, list[Dimension]]:
    """The steps from matrix to matrix: from row to row of the output, and within one."""
    shapes = [t.shape for t in work.types]
    sizes = [s[-2] * s[-1] for s in shapes]
    row, inner = steps(work.output.shape[:-2], [s[:-2] for s in shapes], work.rows)

    def scaled(step: Steps) -> Steps:
        return step[0] * sizes[0], step[1] * sizes[1]

    return scaled(row), [(n, scaled(s)) for n, s in inner]
