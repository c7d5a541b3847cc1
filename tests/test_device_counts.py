"""Counts against instructions counted by hand, on each instruction set."""

from __future__ import annotations

import numpy as np
import pytest

from device_programs import ARM_RUN, C_RUN, COPY, RISCV_RUN, asm, c_program, need, program, runnable
from ratti import targets
from ratti.device import emulator, toolchain
from ratti.device.host import HostModel
from ratti.device.measure import Measurement, measure
from ratti.device.program import Program, Slot
from ratti.types import How

pytestmark = pytest.mark.toolchain

INPUT = np.array([7], np.int8)
ARM = ("stm32l4r5zi", "stm32h743", "stm32u575", "rp2040", "stm32g0b1")
RISCV = ("esp32c3", "ch32v003")
LOOP = {
    "arm": ("movs r1, #100", "1: subs r1, #1", "bne 1b", "bx lr"),
    "riscv": ("li t0, 100", "1: addi t0, t0, -1", "bnez t0, 1b", "ret"),
}


def run(name: str, made: Program, count: int = 1, **options: str) -> Measurement:
    return measure(made, targets.load(name), [[INPUT]] * count, **options)


def both(first: tuple[str, ...], second: tuple[str, ...], arch: str) -> Program:
    entry = ARM_RUN if arch == "arm" else RISCV_RUN
    return program(asm("first", *first) + asm("second", *second) + entry)


@pytest.mark.parametrize("name", ARM)
def test_arm_loop(name: str) -> None:
    m = run(name, both(LOOP["arm"], ("nop", "bx lr"), "arm"))
    assert [s.instructions for s in m.steps] == [3 + 202, 2 + 2 + 1]
    assert m.instructions == 210


@pytest.mark.parametrize("name", RISCV)
def test_riscv_loop(name: str) -> None:
    m = run(name, both(LOOP["riscv"], ("nop", "ret"), "riscv"))
    assert [s.instructions for s in m.steps] == [5 + 202, 2 + 2 + 4]


def test_instructions_skipped_in_an_it_block_count() -> None:
    taken = ("cmp r0, r0", "itte eq", "addeq r1, r2", "addeq r1, r2", "addne r1, r2", "bx lr")
    m = run("stm32l4r5zi", both(taken, ("nop", "bx lr"), "arm"))
    assert m.steps[0].instructions == 3 + 6


def test_a_store_in_an_it_block_leaves_the_code_behind_alone() -> None:
    """The emulator's memory hooks leak the state of the IT block (see blockhook.c): the branch would be skipped."""
    first = ("movs r1, #0", "cmp r1, #1", "it ne", "strne r1, [r0, #4]", "cmp r1, #0", "beq 1f", "nop", "1: bx lr")
    m = run("stm32l4r5zi", both(first, ("nop", "bx lr"), "arm"))
    assert m.steps[0].instructions == 3 + 7


def test_last_call_may_be_a_jump() -> None:
    jump = asm("m_run", "push {r4, lr}", "mov r4, r0", "bl first", "mov r0, r4", "pop {r4}", "pop {r1}", "mov lr, r1",
               "b second")
    m = run("rp2040", program(asm("first", "bx lr") + asm("second", "nop", "bx lr") + jump))
    assert [s.instructions for s in m.steps] == [3 + 1, 5 + 2]


def test_steps_may_share_a_function() -> None:
    shared = "STEP void first(int8_t *a) { a[1] = (int8_t)(a[1] + a[0]); }\n"
    m = run("esp32c3", program(shared + "void m_run(int8_t *a) { first(a); first(a + 1); first(a); }\n", steps=3))
    assert len(m.steps) == 3
    assert sum(s.instructions for s in m.steps) == m.instructions
    assert m.outputs[0][0].view(np.int8)[0] == 14


@pytest.mark.parametrize("name", runnable())
@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_outputs_and_sums_everywhere(name: str, optimize: str) -> None:
    need(name)
    made = c_program("int32_t s = 0; for (int32_t i = 0; i < 9; i++) s += a[0] * i; a[4] = (int8_t)s;")
    m = run(name, made, count=3, optimize=optimize)
    assert [int(y[0].view(np.int8)[0]) for y in m.outputs] == [8, 8, 8]
    assert sum(s.instructions for s in m.steps) == m.instructions
    assert m.instructions_range == (m.instructions, m.instructions)
    assert m.flash_code_bytes + m.flash_weights_bytes == m.flash_total_bytes
    assert m.ram_bytes == m.ram_static_bytes + m.stack_bytes
    assert m.how["instructions"] is How.EMULATED
    for figure in ("cycles", "latency", "energy"):
        assert (m.how[figure] is How.ABSENT) <= (figure in m.reasons)
        assert (m.how[figure] is How.ABSENT) != (figure in m.sources)
    if m.cycles is not None:
        assert sum(s.cycles.low for s in m.steps if s.cycles) == m.cycles.low
        assert m.cycles.low >= m.instructions
        assert m.cycles.high is None or m.cycles.high >= m.cycles.low


def test_range_over_inputs_and_first_input() -> None:
    text = f"STEP void first(int8_t *a) {{ for (volatile int i = 0; i < a[0]; i++) ; }}\n{COPY}{C_RUN}"
    inputs = [[np.array([n], np.int8)] for n in (5, 1, 9)]
    m = measure(program(text), targets.load("esp32c3"), inputs)
    least, most = m.instructions_range
    assert least < m.instructions < most
    alone = [measure(program(text), targets.load("esp32c3"), [x]).instructions for x in inputs]
    assert alone == [m.instructions, least, most]


def test_counts_are_the_same_from_run_to_run() -> None:
    made = c_program("for (int i = 0; i < 50; i++) a[3] = (int8_t)(a[3] + a[0]);")
    figures = []
    for _ in range(2):
        with emulator.Emulator() as own:
            m = measure(made, targets.load("stm32f446re"), [[INPUT]], emulator=own)
            figures.append((m.instructions, m.cycles, m.stack_bytes, m.steps))
    assert figures[0] == figures[1]


@pytest.mark.parametrize(("name", "arch"), [("stm32l4r5zi", "arm"), ("rp2040", "arm"), ("ch32v003", "riscv")])
def test_stack_of_known_frames(name: str, arch: str) -> None:
    def deepest(frame: int, store: str) -> int:
        grow = {"arm": (f"sub sp, #{frame}", store, f"add sp, #{frame}", "bx lr"),
                "riscv": (f"addi sp, sp, -{frame}", store, f"addi sp, sp, {frame}", "ret")}[arch]
        leave = "bx lr" if arch == "arm" else "ret"
        return run(name, both(grow, ("nop", leave), arch)).stack_bytes

    store, other = ("str r1, [sp]", "nop") if arch == "arm" else ("sw zero, 0(sp)", "nop")
    assert deepest(192, store) - deepest(64, store) == 128
    assert deepest(192, other) == deepest(192, store)  # reserved, never written


def test_stack_includes_callers() -> None:
    deep = "STEP int8_t deep(volatile int8_t *p) { volatile int8_t b[100]; b[*p] = 2; return b[*p]; }\n"
    first = "STEP void first(int8_t *a) { volatile int8_t c[200]; c[a[0]] = 1; a[1] = "
    flat = program(f"{first} c[a[0]]; }}\n{COPY}{C_RUN}")
    nested = program(f"{deep}{first} deep(c + a[0]); }}\n{COPY}{C_RUN}")
    for name in ("stm32l4r5zi", "rp2040", "esp32c3", "ch32v003"):
        alone = run(name, flat).stack_bytes
        assert 200 <= alone <= 240, name
        assert 100 <= run(name, nested).stack_bytes - alone <= 140, name


@pytest.mark.parametrize("frame", [508, 1024, 4096, 5000])
@pytest.mark.parametrize("name", ["stm32l4r5zi", "rp2040", "esp32c3"])
def test_stack_of_large_frames(name: str, frame: int) -> None:
    body = f"volatile int8_t c[{frame}]; c[a[0]] = 1; a[1] = c[a[0]];"
    stack = run(name, program(f"STEP void first(int8_t *a) {{ {body} }}\n{COPY}{C_RUN}")).stack_bytes
    assert frame <= stack <= frame + 48


def test_blocks_of_the_first_inference_add_up() -> None:
    firmware = toolchain.build(both(LOOP["arm"], ("nop", "bx lr"), "arm"), targets.load("stm32l4r5zi"))
    result = emulator.run(firmware, [[INPUT]])
    assert sum(b.instructions * c.times for b in result.blocks for c in b.cells) == sum(result.instructions[0])
    loop = next(b for b in result.blocks if b.cells[0].times == 99)
    assert (loop.instructions, loop.cells[0].falls) == (2, 1)  # 98 of its 99 branches were taken


def test_several_inputs_and_outputs() -> None:
    text = "STEP void first(int8_t *a) { a[4] = (int8_t)(a[0] + a[2]); a[6] = (int8_t)(a[1] - a[3]); }\n"
    made = program(text + "void m_run(int8_t *a) { first(a); }\n", steps=1)
    made = Program(made.sources, made.entry, 16, (Slot(0, 2), Slot(2, 2)), (Slot(4, 1), Slot(6, 1)), made.steps)
    values = [[np.array(x, np.int8) for x in row] for row in (([1, 9], [2, 3]), ([5, 5], [1, 7]))]
    m = measure(made, targets.load("ch32v003"), values)
    got = [[int(y.view(np.int8)[0]) for y in row] for row in m.outputs]
    assert got == [[3, 6], [6, -2]]
    with HostModel(made) as host:
        assert [[int(y.view(np.int8)[0]) for y in host.run(row)] for row in values] == got
    with pytest.raises(ValueError, match="has 3 bytes, the program takes 2"):
        measure(made, targets.load("ch32v003"), [[np.zeros(3, np.int8), np.zeros(2, np.int8)]])


def test_weights_are_told_from_code() -> None:
    text = ("static const int8_t w[64] = {1, 2, 3};\n"
            "STEP void first(int8_t *a) { for (int i = 0; i < 64; i++) a[2] = (int8_t)(a[2] + w[(i + a[0]) & 63]); }\n")
    made = program(text + COPY + C_RUN, weights=("w",))
    m = run("esp32c3", made)
    assert m.flash_weights_bytes == 64
    assert 100 < m.flash_code_bytes < 600
