"""Cortex-M4: cycles by Arm's table.

Where the manual gives a range the low price takes its minimum and the high one its maximum: P, the refill of the
pipeline after a taken branch, is 1 to 3; a division takes 2 to 12.

Not modeled: unaligned accesses (1 or 2 more each), skipped instructions of IT blocks (priced as if they ran), loads
whose address the instruction before computes, contention on the bus.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import capstone
from capstone import arm

from . import Price

SOURCE = "Arm DDI0439 (Cortex-M4 TRM), table 3-1 and section 3.3.3 (load/store timings)"

REFILL = (1, 3)
DIVIDE = (2, 12)
_MULTIPLE = {"ldm", "ldmdb", "ldmia", "stm", "stmdb", "stmia", "push", "pop", "vldmia", "vldmdb", "vstmia", "vstmdb",
             "vpush", "vpop"}
_FLOAT_MULTIPLY_ADD = {"vmla", "vmls", "vfma", "vfms", "vfnma", "vfnms", "vnmla", "vnmls"}
_CONDITIONS = {"eq", "ne", "hs", "cs", "lo", "cc", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"}


def price(instructions: Sequence[Any]) -> Price:
    """The price of a block of decoded instructions (capstone's, with details)."""
    low = high = taken_low = taken_high = 0
    pipelined = False  # the instruction before is a load that the next access can follow without a wait
    for instruction in instructions:
        name, is_conditional = _name(instruction)
        one, jumps = _cost(instruction, name, pipelined)
        pipelined = _is_pipelined_load(instruction, name)
        cost_low, cost_high = one
        if jumps and is_conditional:
            taken_low, taken_high = REFILL
        elif jumps:
            cost_low, cost_high = cost_low + REFILL[0], cost_high + REFILL[1]
        low, high = low + cost_low, high + cost_high
    return Price(low, high, taken_low, taken_high)


def _name(instruction: Any) -> tuple[str, bool]:
    """The mnemonic without width and condition, and whether it is a conditional branch."""
    name = instruction.mnemonic.split(".")[0]
    if name in ("cbz", "cbnz"):
        return name, True
    if len(name) > 2 and name[-2:] in _CONDITIONS and instruction.cc not in (0, arm.ARM_CC_AL):
        name = name[:-2]
        return name, True
    return name, False


def _cost(instruction: Any, name: str, pipelined: bool) -> tuple[tuple[int, int], bool]:
    """(low, high) without a refill, and whether the instruction may refill the pipeline."""
    writes_pc = _writes_pc(instruction)
    if name in ("b", "bl", "bx", "blx", "cbz", "cbnz"):
        return (1, 1), True
    if name in ("tbb", "tbh"):
        return (2, 2), True
    if name in _MULTIPLE:
        registers = sum(1 for o in instruction.operands if o.type == arm.ARM_OP_REG) - _has_base(name)
        return (1 + registers,) * 2, writes_pc
    if name in ("ldrd", "strd"):
        return (3, 3), False
    if name in ("vldr", "vstr"):
        words = 2 if instruction.op_str.startswith("d") else 1
        return (1 + words,) * 2, False
    if name.startswith("ldr"):
        return ((1, 1) if pipelined and not writes_pc else (2, 2)), writes_pc
    if name.startswith("str"):
        memory = next(o.mem for o in instruction.operands if o.type == arm.ARM_OP_MEM)
        return ((1, 1) if pipelined or not memory.index else (2, 2)), False
    if name in ("sdiv", "udiv"):
        return DIVIDE, False
    if name in ("vdiv", "vsqrt"):
        return (14, 14), False
    if name in _FLOAT_MULTIPLY_ADD:
        return (3, 3), False
    if name in ("mrs", "msr"):
        return (1, 2), False
    return (1, 1), writes_pc


def _is_pipelined_load(instruction: Any, name: str) -> bool:
    """Loads that update their base, or load two registers or more, hold up the access that follows."""
    return name.startswith("ldr") and name != "ldrd" and not instruction.writeback


def _has_base(name: str) -> int:
    return 0 if name in ("push", "pop", "vpush", "vpop") else 1


def _writes_pc(instruction: Any) -> bool:
    written = (o for o in instruction.operands if o.type == arm.ARM_OP_REG and o.reg == arm.ARM_REG_PC)
    loads_many = instruction.mnemonic.startswith(("pop", "ldm"))
    return any(loads_many or o.access & capstone.CS_AC_WRITE for o in written)
