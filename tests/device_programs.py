"""Small programs in place of models: two steps whose instructions can be counted by hand."""

from __future__ import annotations

import pytest

from ratti import targets
from ratti.device import cores
from ratti.device.program import Program, Slot

HEAD = """#include <stdint.h>
#define NAKED __attribute__((naked, noinline, used))
#define STEP __attribute__((noinline)) static
void m_run(int8_t *arena);
"""

# m_run has 3 instructions before the first step, 2 between, 1 after (4 on RISC-V: restore two registers, sp, return).
ARM_RUN = """
NAKED void m_run(int8_t *arena)
{ __asm__("push {r4, lr}\\n mov r4, r0\\n bl first\\n mov r0, r4\\n bl second\\n pop {r4, pc}"); }
"""
RISCV_RUN = """
NAKED void m_run(int8_t *arena)
{ __asm__("addi sp, sp, -16\\n sw ra, 12(sp)\\n sw s0, 8(sp)\\n mv s0, a0\\n jal first\\n mv a0, s0\\n jal second\\n"
          "lw ra, 12(sp)\\n lw s0, 8(sp)\\n addi sp, sp, 16\\n ret"); }
"""

C_RUN = "void m_run(int8_t *arena) { first(arena); second(arena); }\n"
COPY = "STEP void second(int8_t *a) { a[1] = (int8_t)(a[0] + 1); }\n"


def asm(name: str, *lines: str) -> str:
    """A naked function of these instructions."""
    body = "\\n ".join(lines)
    return f'NAKED void {name}(int8_t *arena) {{ __asm__("{body}"); }}\n'


def program(text: str, arena_bytes: int = 16, inputs: int = 1, outputs: int = 1, steps: int = 2,
            weights: tuple[str, ...] = ()) -> Program:
    """A program of C text: input at the start of the arena, output behind it."""
    return Program(
        {"m.c": HEAD + text}, "m_run", arena_bytes, (Slot(0, inputs),), (Slot(inputs, outputs),),
        ("first", "second", "third")[:steps], weights,
    )


def c_program(first: str, arena_bytes: int = 16) -> Program:
    """Two steps: the first with this body, the second stores input + 1 as the output."""
    return program(f"STEP void first(int8_t *a) {{ {first} }}\n{COPY}{C_RUN}", arena_bytes)


def runnable() -> list[str]:
    """One target for each way to compile: code for them differs, and something runs it."""
    ways: dict[tuple[str, ...], str] = {}
    for name in targets.ids():
        core = cores.load(targets.load(name).core)
        if not core.absent:
            ways.setdefault(core.compiler_flags, name)
    return sorted(ways.values())


def need(name: str) -> None:
    """Skip where nothing runs the target's core on this computer."""
    obstacle = cores.load(targets.load(name).core).obstacle
    if obstacle:
        pytest.skip(obstacle)
