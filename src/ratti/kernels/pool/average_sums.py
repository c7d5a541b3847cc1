"""Average of a whole map, from bands of its rows."""

from __future__ import annotations

from typing import ClassVar

from ...ops.average_pool2d import AveragePool2D
from ..base import Call, Work
from ._sums import Sums


class PoolAverageSums(Sums):
    name: ClassVar[str] = "pool_average_sums"
    header: ClassVar[str] = "pool/average_sums.h"
    ops = (AveragePool2D,)

    def supports(self, work: Work) -> bool:
        assert isinstance(work.op, AveragePool2D)
        return work.op.kernel == work.types[0].shape[1:3] and not any(work.op.padding)

    def call(self, work: Work) -> Call:
        assert isinstance(work.op, AveragePool2D)
        _, in_h, in_w, channels = work.types[0].shape
        low, high = work.op.activation.code_range(work.output)
        fields = {"in_h": in_h, "in_w": in_w, "channels": channels, "low": low, "high": high}
        return Call("ratti_average_sums", {"sizes": ("ratti_average_sums_sizes", fields)}, (), 4 * channels)
