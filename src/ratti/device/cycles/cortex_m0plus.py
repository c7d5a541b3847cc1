"""Cortex-M0+: cycles by Arm's table, for a part with the fast multiplier and no single-cycle port to its memories.

Not modeled: contention on the one bus that code and data share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from capstone import arm

from . import Price

SOURCE = (
    "Arm DDI0484C (Cortex-M0+ TRM), table 3-1: the rows for data processing, multiply, single loads were read there, "
    "those for load and store multiple, branches and BL in a transcription (breatharian.eu, rasppicoasm); "
    "POP with PC is taken as 3 + N, unverified"
)

_MULTIPLE = {"ldm", "stm", "push", "pop"}
_FIXED = {"b": 2, "bl": 3, "bx": 2, "blx": 2, "mrs": 3, "msr": 3, "dmb": 3, "dsb": 3, "isb": 3}


def price(instructions: Sequence[Any]) -> Price:
    """The price of a block of decoded instructions (capstone's, with details)."""
    cycles = taken = 0
    for instruction in instructions:
        name = instruction.mnemonic.split(".")[0]
        registers = [o.reg for o in instruction.operands if o.type == arm.ARM_OP_REG]
        if name[0] == "b" and instruction.cc not in (0, arm.ARM_CC_AL):
            cycles, taken = cycles + 1, 1
        elif name in _FIXED:
            cycles += _FIXED[name]
        elif name in _MULTIPLE:
            count = len(registers) - (name in ("ldm", "stm"))
            cycles += (3 if arm.ARM_REG_PC in registers else 1) + count
        elif name.startswith(("ldr", "str")) or registers[:1] == [arm.ARM_REG_PC]:  # or MOV and ADD to PC
            cycles += 2
        else:
            cycles += 1
    return Price(cycles, cycles, taken, taken)
