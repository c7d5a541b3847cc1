"""QingKe V2 (CH32V003): measured by others; the maker publishes no table.

Low: code in RAM. One cycle an instruction, two a load or store, two more for a taken branch or jump. High: code in
flash at 48 MHz, which gives 32 bits every two cycles: what that adds to straight code the emulator counts
(flashcache.h); a jump waits up to one cycle more for the access under way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import Price

SOURCE = "measured: github.com/cpldcpu/DRAM_exploration, instruction_timing/README.md (loops from SRAM and flash)"

_MEMORY = {"lb", "lbu", "lh", "lhu", "lw", "lwsp", "sb", "sh", "sw", "swsp"}
_JUMPS = {"j", "jal", "jr", "jalr", "ret"}
_BRANCHES = {"beq", "bne", "blt", "bge", "bltu", "bgeu", "beqz", "bnez", "blez", "bgez", "bltz", "bgtz"}
_REFILL, _LATE = 2, 1


def price(instructions: Sequence[Any]) -> Price:
    """The price of a block of decoded instructions (capstone's)."""
    cycles = late = taken = 0
    for instruction in instructions:
        name = instruction.mnemonic.removeprefix("c.")
        cycles += 2 if name in _MEMORY else 1
        if name in _JUMPS:
            cycles, late = cycles + _REFILL, late + _LATE
        elif name in _BRANCHES:
            taken = _REFILL
    return Price(cycles, cycles + late, taken, taken + _LATE if taken else 0)
