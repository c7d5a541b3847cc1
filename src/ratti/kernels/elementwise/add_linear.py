"""Sum of two tensors as one linear form, where one exists that is exact for every pair of codes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from ...fixed_point import INT32_MAX
from ...ops.add import Add
from ...types import Array
from ..base import Call, Kernel, Overlap, Reach, Work

NEAR = 3  # how far factors are tried around the scale ratios
SHIFTS = 5  # how many shifts are tried below the largest that cannot overflow


class Linear(NamedTuple):
    """code = clamp((a * in_factor + b * other_factor + bias) >> shift)"""

    in_factor: int
    other_factor: int
    bias: int
    shift: int


class AddLinear(Kernel):
    name: ClassVar[str] = "add_linear"
    header: ClassVar[str] = "elementwise/add_linear.h"
    ops = (Add,)
    requires = frozenset({"multiply"})

    def supports(self, work: Work) -> bool:
        alike = all(o.data is None and o.type.shape == work.output.shape for o in work.operands)
        return alike and linear(work) is not None

    def instructions(self, work: Work) -> float:
        return work.output.elements * 8

    def reach(self, work: Work) -> Reach | None:
        return Reach() if len(work.output.shape) == 4 else None

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(0)

    def call(self, work: Work) -> Call:
        found = linear(work)
        assert found is not None and isinstance(work.op, Add)
        low, high = work.op.activation.code_range(work.output)
        fields = {"row_elements": work.row_elements, **found._asdict(), "low": low, "high": high}
        return Call("ratti_add_linear", {"sizes": ("ratti_add_linear_sizes", fields)})


@lru_cache(maxsize=256)
def linear(work: Work) -> Linear | None:
    """The linear form that equals the op on all pairs of codes, or None."""
    codes = np.arange(-128, 128, dtype=np.int8)
    a, b = np.repeat(codes, 256), np.tile(codes, 256)
    types = [o.type for o in work.operands]
    (want,) = work.op.evaluate([a, b], types, [replace(work.output, shape=a.shape)])
    assert isinstance(work.op, Add)
    low, high = work.op.activation.code_range(work.output)
    ratios = [t.scale / work.output.scale for t in types]
    first, second = a.astype(np.int64), b.astype(np.int64)
    for x, y, shift in _candidates(ratios[0], ratios[1]):
        bias = _bias(first * x + second * y, want.astype(np.int64), low, high, shift)
        if bias is not None and 128 * (abs(x) + abs(y)) + abs(bias) <= INT32_MAX:
            return Linear(x, y, bias, shift)
    return None


def _candidates(first: float, second: float) -> Iterator[tuple[int, int, int]]:
    """Factors near the ratios, at the largest shifts that leave room for the sum."""
    room = 31 - int(np.ceil(np.log2(256 * (first + second) + 256)))
    for shift in range(min(room, 24), max(min(room, 24) - SHIFTS, 0), -1):
        x, y = round(first * (1 << shift)), round(second * (1 << shift))
        nearby = sorted(
            ((i, j) for i in range(-NEAR, NEAR + 1) for j in range(-NEAR, NEAR + 1)),
            key=lambda d: abs(d[0]) + abs(d[1]),
        )
        yield from ((x + i, y + j, shift) for i, j in nearby)


def _bias(total: Array, want: Array, low: int, high: int, shift: int) -> int | None:
    """The bias nearest to the middle of what all pairs allow."""
    least = np.where(want > low, (want << shift) - total, -(1 << 40)).max()
    most = np.where(want < high, ((want + 1) << shift) - total, 1 << 40).min() - 1
    return int(least + most) // 2 if least <= most and abs(int(least + most)) < 1 << 40 else None
