"""Any op of two int16 tensors, element by element."""

from __future__ import annotations

from typing import ClassVar

from ...ops.add import Add
from ...ops.maximum import Maximum
from ...ops.minimum import Minimum
from ...ops.mul import Mul
from ...ops.sub import Sub
from ...types import DType
from ..base import Call, Work
from .binary import ElementwiseBinary, arguments


class ElementwiseWideBinary(ElementwiseBinary):
    name: ClassVar[str] = "wide_binary"
    header: ClassVar[str] = "elementwise/wide_binary.h"
    ops = (Add, Sub, Mul, Maximum, Minimum)
    activations = (DType.INT16,)

    def call(self, work: Work) -> Call:
        sizes, tables = arguments(work)
        return Call("ratti_wide_binary", {"sizes": sizes}, tables, inputs_as_array=True)
