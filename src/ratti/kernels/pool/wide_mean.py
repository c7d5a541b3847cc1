"""Mean of int16 codes over adjacent dimensions."""

from __future__ import annotations

from typing import ClassVar

from ...types import DType
from ..base import Call, Overlap, Work
from .mean import PoolMean


class PoolWideMean(PoolMean):
    name: ClassVar[str] = "wide_mean"
    header: ClassVar[str] = "pool/wide_mean.h"
    activations = (DType.INT16,)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return None

    def call(self, work: Work) -> Call:
        return Call("ratti_wide_mean", super().call(work).constants)
