"""Hazard3 (RP2350): the cycles that its author states for the fastest configuration.

Taken for the RP2350's cores too, which are said to be built that way. A load costs one cycle more where the next
instruction needs its result for other than storing it. The one-entry branch predictor remembers a backward branch that
was taken: low, backward branches are always predicted right; high, never. A jump to a 32-bit instruction across a word
boundary costs one more: counted at the high end.

Not modeled: contention on the bus, and what a miss of the cache before the flash costs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from . import Price

SOURCE = "github.com/Wren6991/Hazard3, doc/sections/instruction_timings.adoc (perfect bus, MULDIV_UNROLL 2, MUL_FAST)"

_LOADS = {"lb", "lbu", "lh", "lhu", "lw", "lwsp"}
_STORES = {"sb", "sh", "sw", "swsp"}
_JUMPS = {"j", "jal", "jr", "jalr", "ret"}
_BRANCHES = {"beq", "bne", "blt", "bge", "bltu", "bgeu", "beqz", "bnez", "blez", "bgez", "bltz", "bgtz"}
_DIVIDE = {"div": (18, 19), "rem": (18, 19), "divu": (18, 18), "remu": (18, 18)}
_REGISTER = re.compile(r"\b(?:zero|ra|[sgt]p|[ast]\d+)\b")
_UNALIGNED = 1


def price(instructions: Sequence[Any]) -> Price:
    """The price of a block of decoded instructions (capstone's)."""
    low = high = taken_low = taken_high = 0
    loaded = ""  # the register that the instruction before loads
    for instruction in instructions:
        name = instruction.mnemonic.removeprefix("c.")
        least, most = _DIVIDE.get(name, (1, 1))
        if loaded and loaded in _needed_early(instruction, name):
            least, most = least + 1, most + 1
        if name in _JUMPS:
            least, most = least + 1, most + 1 + _UNALIGNED
        elif name in _BRANCHES and instruction.op_str.rsplit(" ", 1)[-1].startswith("-"):
            most, taken_high = most + 1, _UNALIGNED
        elif name in _BRANCHES:
            taken_low, taken_high = 1, 1 + _UNALIGNED
        low, high = low + least, high + most
        loaded = instruction.op_str.split(",")[0] if name in _LOADS else ""
    return Price(low, high, taken_low, taken_high)


def _needed_early(instruction: Any, name: str) -> list[str]:
    """Registers that an instruction needs in its second stage: all that it reads but the value that it stores."""
    written, _, rest = instruction.op_str.partition(",")
    reads: list[str] = _REGISTER.findall(rest)
    overwrites = instruction.mnemonic.startswith("c.") and name not in _LOADS | _STORES  # the first operand is read too
    return reads if name in _LOADS | _STORES or not (overwrites or name in _BRANCHES | _JUMPS) else [written, *reads]
