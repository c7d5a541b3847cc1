"""Mean of a whole map, from bands of its rows."""

from __future__ import annotations

from typing import ClassVar

from ...ops.base import Activation
from ...ops.mean import Mean
from .._channels import FAST_LIMIT, Rounding, output_struct
from ..base import Call, Constant, Work
from ._sums import Sums


class PoolMeanSums(Sums):
    name: ClassVar[str] = "mean_sums"
    header: ClassVar[str] = "pool/mean_sums.h"
    ops = (Mean,)

    def supports(self, work: Work) -> bool:
        assert isinstance(work.op, Mean)
        shape = work.types[0].shape
        return len(shape) == 4 and shape[0] == 1 and work.op.axes == (1, 2)

    def call(self, work: Work) -> Call:
        op, source = work.op, work.types[0]
        assert isinstance(op, Mean)
        _, in_h, in_w, channels = source.shape
        multiplier, shift = op.multiplier(source, work.output)
        wide = shift > -1 or 255 * in_h * in_w >= FAST_LIMIT
        fields: dict[str, Constant] = {
            "in_h": in_h,
            "in_w": in_w,
            "channels": channels,
            "in_zero": source.zero_point,
            "multiplier": multiplier,
            "shift": -shift,
            "out": output_struct(work.output, Activation.NONE, Rounding.GENERAL if wide else Rounding.DOUBLE),
        }
        return Call("ratti_mean_sums", {"sizes": ("ratti_mean_sums_sizes", fields)}, (), 4 * channels)
