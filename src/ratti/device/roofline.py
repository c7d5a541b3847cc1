"""What a core can reach at best: multiply-accumulates and bytes loaded a cycle, each with its source.

The model is the roofline of Williams, Waterman & Patterson 2009: a layer that has `i` MACs for each byte that it must
move runs at no more than min(macs_per_cycle, i * bytes_per_cycle) MACs a cycle. A core whose timing nobody could read
has no row. Kernels that share one multiplication among several MACs (Winograd) may lie above the flat part.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Roof:
    """The two ceilings of a core: int8 MACs a cycle, and bytes a cycle between registers and memory."""

    macs_per_cycle: float
    bytes_per_cycle: float
    source: str

    def __post_init__(self) -> None:
        if min(self.macs_per_cycle, self.bytes_per_cycle) <= 0 or not self.source:
            raise ValueError("a roof has two ceilings above zero and a source")

    def at(self, macs_per_byte: float) -> float:
        """MACs a cycle at most, where each byte serves `macs_per_byte` of them."""
        return min(self.macs_per_cycle, macs_per_byte * self.bytes_per_cycle)


ROOFS = {
    "cortex_m4f": Roof(2, 4, "Arm DDI0439, table 3-1: SMLAD does two MACs in 1 cycle; LDM loads N words in 1 + N"),
    "cortex_m0plus": Roof(0.5, 4, "Arm DDI0484C, table 3-1: MULS 1 cycle (fast multiplier) and ADDS 1; LDM loads N "
                                  "words in 1 + N (from a transcription)"),
    "hazard3": Roof(0.5, 4, "Hazard3's instruction_timings.adoc: MUL 1 cycle (MUL_FAST) and ADD 1; LW 1 cycle"),
}


def load(core: str) -> Roof | None:
    """The roof of the core `core`; None where no source was read."""
    return ROOFS.get(core)
