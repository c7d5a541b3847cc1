"""Any op of two tensors, element by element: operands of one shape, repeated ones, constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from ...ops._binary import Binary
from ...ops._sum import Summing
from ...ops.add import Add
from ...ops.base import Op
from ...ops.maximum import Maximum
from ...ops.minimum import Minimum
from ...ops.mul import Mul
from ...ops.prelu import Prelu
from ...ops.squared_difference import SquaredDifference
from ...ops.sub import Sub
from ...types import DType
from .._channels import Rounding, output_struct
from .._steps import Dimension, Steps, steps
from ..base import Call, Constant, Kernel, Overlap, Reach, Struct, Table, Work

INNER = 3  # dimensions below the rows


class ElementwiseBinary(Kernel):
    name: ClassVar[str] = "binary"
    header: ClassVar[str] = "elementwise/binary.h"
    ops: ClassVar[tuple[type[Op], ...]] = (Add, Sub, SquaredDifference, Mul, Maximum, Minimum, Prelu)

    def supports(self, work: Work) -> bool:
        return len(_dimensions(work)[1]) <= INNER

    def instructions(self, work: Work) -> float:
        return work.output.elements * 40

    def reach(self, work: Work) -> Reach | None:
        alike = all(o.data is not None or o.type.shape == work.output.shape for o in work.operands)
        return Reach() if alike and len(work.output.shape) == 4 else None

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(0) if work.types[operand].shape == work.output.shape else None

    def call(self, work: Work) -> Call:
        sizes, tables = arguments(work)
        return Call("ratti_binary", {"sizes": sizes}, tables, inputs_as_array=True)


def arguments(work: Work) -> tuple[Struct, tuple[Table, ...]]:
    """The `ratti_binary_sizes` struct, and the constant operands."""
    op, rows_inner = work.op, _dimensions(work)
    assert isinstance(op, Binary)
    fields: dict[str, Constant] = {
        "op": ElementwiseBinary.ops.index(type(op)),
        "left_shift": 0,
        "in_zero": work.types[0].zero_point,
        "other_zero": work.types[1].zero_point,
        **UNSCALED,
    }
    scaling = next((f for kind, f in SCALINGS.items() if isinstance(op, kind)), _unscaled)
    fields |= scaling(op, work)
    order = [k for k, o in enumerate(work.operands) if o.data is None]
    order += [k for k, o in enumerate(work.operands) if o.data is not None]
    fields |= {"first": order.index(0), "second": order.index(1)}
    inner = [(1, (0, 0))] * (INNER - len(rows_inner[1])) + rows_inner[1]
    for k, (count, (first, second)) in enumerate(inner):
        fields |= {f"n{k}": count, f"in{k}": first, f"other{k}": second}
    fields |= {"in_row": rows_inner[0][0], "other_row": rows_inner[0][1]}
    tables = tuple(
        Table(f"operand_{k}", f"{o.type.dtype.value}_t", o.data.ravel())
        for k, o in enumerate(work.operands)
        if o.data is not None
    )
    return ("ratti_binary_sizes", fields), tables


def _dimensions(work: Work) -> tuple[Steps, list[Dimension]]:
    return steps(work.output.shape, [t.shape for t in work.types], work.rows)


def _pair(name: str, pair: tuple[int, int]) -> dict[str, Constant]:
    return {f"{name}multiplier": pair[0], f"{name}shift": -pair[1]}


def _sum(op: Any, work: Work) -> Mapping[str, Constant]:
    first, second, result = op.multipliers(work.types, work.output)
    wide = result[1] > -1 or isinstance(op, SquaredDifference)
    out = output_struct(work.output, op.fused, Rounding.GENERAL if wide else Rounding.DOUBLE)
    fields: dict[str, Constant] = {"left_shift": op.left_shift(work.output), "out": out}
    return fields | _pair("in_", first) | _pair("other_", second) | _pair("", result)


def _product(op: Any, work: Work) -> Mapping[str, Constant]:
    result = op.multiplier(work.types, work.output)
    wide = result[1] > -1 or work.output.dtype is DType.INT16  # products of int16 codes reach 2^30
    out = output_struct(work.output, op.fused, Rounding.GENERAL if wide else Rounding.DOUBLE)
    return {"out": out} | _pair("", result)


def _slopes(op: Any, work: Work) -> Mapping[str, Constant]:
    up, down = op.multipliers(work.types, work.output)
    return {"out": output_struct(work.output, op.fused, Rounding.GENERAL)} | _pair("in_", up) | _pair("", down)


def _unscaled(op: Any, work: Work) -> Mapping[str, Constant]:
    return {"out": output_struct(work.output, op.fused, Rounding.GENERAL)}


UNSCALED = _pair("in_", (0, 0)) | _pair("other_", (0, 0)) | _pair("", (0, 0))
SCALINGS: Mapping[type, Callable[[Any, Work], Mapping[str, Constant]]] = {
    Summing: _sum,
    Mul: _product,
    Prelu: _slopes,
}
