"""Cycles of one inference, by segment, from the blocks that ran. Only the worker imports this module."""

from __future__ import annotations

from typing import Any

import capstone

from . import cycles
from .machine import Machine
from .qemu import QemuMachine


def segments(machine: Machine | QemuMachine, core: str) -> dict[str, Any]:
    """{"low": [...], "high": [...], "source": ...} by segment without flash waiting, or {"reason": ...}."""
    table = cycles.table(core)
    if hasattr(table, "REASON"):
        return {"reason": table.REASON}
    if isinstance(machine, QemuMachine):
        return {"reason": "QEMU counts instructions and no blocks to price"}
    engine = _disassembler(machine.job["arch"])
    width = machine.job["n_segments"]
    cells: list[list[tuple[cycles.Price, int, int]]] = [[] for _ in range(width)]
    for block, counts in machine.blocks():
        start = block.address - machine.job["code_start"]
        code = bytes(machine.code[start : start + block.bytes])
        instructions = list(engine.disasm(code, block.address))
        if len(instructions) != block.instructions:
            raise ValueError(f"the block at {block.address:#x} decodes to {len(instructions)} instructions, "
                             f"not {block.instructions}")
        price = table.price(instructions)
        for segment, times, falls in counts:
            cells[segment].append((price, times, falls))
    totals = [cycles.total(c) for c in cells]
    return {"low": [low for low, _ in totals], "high": [high for _, high in totals], "source": table.SOURCE}


def _disassembler(arch: str) -> capstone.Cs:
    if arch == "arm":
        mode = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | capstone.CS_MODE_V8
        engine = capstone.Cs(capstone.CS_ARCH_ARM, mode)
    else:
        engine = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
    engine.detail = True
    return engine
