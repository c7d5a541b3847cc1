"""What kernels share that sum up a whole map from bands of its rows."""

from __future__ import annotations

from ..base import Kernel, Overlap, Reach, Work


class Sums(Kernel):
    """`row_begin` and `row_end` count the input's rows; sums of a channel wait in scratch, 4 bytes each."""

    def instructions(self, work: Work) -> float:
        return work.types[0].elements * 5.5 + work.output.elements * 60

    def rows(self, work: Work) -> int:
        return work.types[0].shape[1]

    def reach(self, work: Work) -> Reach | None:
        return Reach()

    def banding(self, work: Work, rows: int) -> float:
        return -(-self.rows(work) // rows) * (80 + work.output.elements * 12)

    def overlap(self, work: Work, operand: int) -> Overlap | None:
        return Overlap(-work.types[0].bytes)  # all is read before the first result is stored
