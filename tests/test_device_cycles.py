"""Prices against cycles added up by hand from the cited tables, and the flash interface against its arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from device_programs import ARM_RUN, RISCV_RUN, asm, program
from ratti import targets
from ratti.device import cores, emulator, toolchain
from ratti.device.emulator import Cycles
from ratti.device.measure import measure
from ratti.device.program import Program
from ratti.targets import Target

pytestmark = pytest.mark.toolchain

INPUT = [[np.array([1], np.int8)]]


def first_step(name: str, *lines: str, before: int) -> tuple[int, int]:
    """(low, high) cycles of a step of these instructions, without flash; `before` are those of its caller, if low."""
    riscv = cores.load(targets.load(name).core).arch == "riscv"
    leave, entry = ("ret", RISCV_RUN) if riscv else ("bx lr", ARM_RUN)
    made = program(asm("first", *lines) + asm("second", leave) + entry)
    run = emulator.run(toolchain.build(made, targets.load(name)), INPUT)
    assert isinstance(run.cycles, Cycles)
    return run.cycles.low[0] - before, run.cycles.high[0] - before


# m_run up to the first step: PUSH of two 1 + 2, MOV 1, BL 1 + P with P from 1 to 3. BX at the end: 1 + P.
@pytest.mark.parametrize(
    ("lines", "low", "high"),
    [
        (("nop",), 1, 1),
        (("movs r1, #100", "1: subs r1, #1", "bne 1b"), 1 + 200 + 99, 1 + 200 + 3 * 99),
        (("ldr r1, [r0]", "ldr r2, [r0, #4]", "ldr r3, [r0, #8]"), 2 + 1 + 1, 4),
        (("ldr r1, [r0], #4", "ldr r2, [r0]"), 2 + 2, 4),  # base update: no pipelining
        (("str r1, [r0]", "str r1, [r0, #4]"), 2, 2),
        (("movs r2, #4", "str r1, [r0, r2]"), 3, 3),
        (("ldr r1, [r0]", "movs r2, #4", "ldr r1, [r0]"), 5, 5),
        (("push {r4, r5, r6, r7}", "pop {r4, r5, r6, r7}"), 10, 10),
        (("ldm r0, {r1, r2, r3}",), 4, 4),
        (("ldrd r2, r3, [r0]",), 3, 3),
        (("smlad r1, r1, r1, r1", "smull r1, r2, r3, r3", "mul r1, r1, r1"), 3, 3),
        (("movs r1, #1", "sdiv r1, r1, r1"), 1 + 2, 1 + 12),
        (("cmp r0, r0", "it eq", "addeq r1, r1"), 3, 3),
        (("cbz r0, 1f", "1: nop"), 2, 2),  # r0 is not zero: not taken
    ],
)
def test_cortex_m4(lines: tuple[str, ...], low: int, high: int) -> None:
    got = first_step("stm32l4r5zi", *lines, "bx lr", before=3 + 1)
    assert got == (low + (1 + 1) + (1 + 1), high + (1 + 3) + (1 + 3))


# PUSH of two 1 + 2, MOV 1, BL 3; BX 2.
@pytest.mark.parametrize(
    ("lines", "cycles"),
    [
        (("movs r1, #100", "1: subs r1, #1", "bne 1b"), 1 + 100 + 99 * 2 + 1),
        (("ldr r1, [r0]", "str r1, [r0]", "ldrb r1, [r0]"), 6),
        (("muls r1, r1, r1", "lsls r1, r1, #3"), 2),
        (("push {r4, r5}", "pop {r4, r5}"), 6),
        (("b 1f", "1: nop"), 3),
    ],
)
def test_cortex_m0plus(lines: tuple[str, ...], cycles: int) -> None:
    low, high = first_step("rp2040", *lines, "bx lr", before=3 + 1 + 3)
    assert low == high == cycles + 2


# m_run up to the first step: ADDI, two stores, MV, JAL 2; RET at the end. High: each of the two may meet a boundary.
@pytest.mark.parametrize(
    ("lines", "low", "high"),
    [
        (("nop",), 1, 1),
        (("lw t0, 0(a0)", "lw t1, 4(a0)", "add t2, t0, t0"), 3, 3),
        (("lw t0, 0(a0)", "add t2, t0, t0"), 3, 3),  # needed at once: a bubble
        (("lw t0, 0(a0)", "sw t0, 4(a0)"), 2, 2),  # only stored: none
        (("sw a0, 4(a0)", "lw t0, 4(a0)", "lw t2, 0(t0)"), 4, 4),  # an address
        (("li t0, 7", "mul t0, t0, t0", "divu t0, t0, t0", "rem t0, t0, t0"), 2 + 18 + 18, 2 + 18 + 19),
        (("beqz zero, 1f", "nop", "1: nop"), 2 + 1, 2 + 1 + 1),  # forward and taken: never predicted
        (("li t0, 9", "1: addi t0, t0, -1", "bnez t0, 1b"), 1 + 18, 1 + 9 + 8 * 3 + 2),
    ],
)
def test_hazard3(lines: tuple[str, ...], low: int, high: int) -> None:
    got = first_step("rp2350-riscv", *lines, "ret", before=1 + 2 + 1 + 2)
    assert got == (low + 2, high + 2 + 2)


# m_run up to the first step: ADDI, two stores 2 each, MV, JAL 1 + 2; high: a jump 1 more.
def test_qingke_v2_agrees_with_the_measured_loop() -> None:
    loop = ("c.li a1, 20", "1: c.addi a1, -1", "c.bnez a1, 1b", "ret")
    low, high = first_step("ch32v003", *loop, before=1 + 4 + 1 + 3)
    assert low == 1 + 20 * 2 + 19 * 2 + 3  # 4 cycles a round from SRAM
    assert high - low == 1 + 19 + 1  # the loop's flash waits are counted apart: 6 cycles a round in all


def test_measured_loop_from_flash() -> None:
    """cpldcpu's bare loop takes 6 cycles a round from flash."""
    rounds = []
    for count in (20, 30):
        code = (".balign 4", f"c.li a1, {count}", "c.nop", "1: c.addi a1, -1", "c.bnez a1, 1b", "ret")
        made = program(asm("first", *code) + asm("second", "ret") + RISCV_RUN)
        cycles = measure(made, targets.load("ch32v003"), INPUT).steps[0].cycles
        assert cycles is not None and cycles.high is not None
        rounds.append(cycles.high)
    assert rounds[1] - rounds[0] == 10 * 6


@pytest.mark.parametrize("name", ["stm32h743", "stm32u575", "esp32c3"])
def test_cores_without_a_table_say_so(name: str) -> None:
    leave, entry = ("ret", RISCV_RUN) if name == "esp32c3" else ("bx lr", ARM_RUN)
    m = measure(program(asm("first", leave) + asm("second", leave) + entry), targets.load(name), INPUT)
    assert m.cycles is None and m.latency_ms is None and m.energy_uj is None
    assert "no " in m.reasons["cycles"] and m.reasons["energy"]
    assert all(s.cycles is None for s in m.steps)


def test_a_part_without_described_flash_is_open_above() -> None:
    m = measure(program(asm("first", "bx lr") + asm("second", "bx lr") + ARM_RUN), targets.load("rp2040"), INPUT)
    assert m.cycles is not None and m.cycles.low > 0 and m.cycles.high is None
    assert "no upper end" in m.reasons["cycles"]


def test_an_unwatched_run_is_open_above() -> None:
    made = program(asm("first", "bx lr") + asm("second", "nop", "bx lr") + ARM_RUN)
    m = measure(made, targets.load("stm32f446re"), [[np.array([77], np.int8)]], watched=False)
    assert m.cycles is not None and m.cycles.high is None
    assert m.reasons["cycles"] == "no upper end: the run was not watched"


def test_time_and_energy_follow_from_cycles() -> None:
    target = targets.load("stm32l4r5zi")
    m = measure(program(asm("first", "bx lr") + asm("second", "bx lr") + ARM_RUN), target, INPUT)
    assert m.cycles is not None and m.latency_ms is not None and m.energy_uj is not None and target.active_mw
    assert m.latency_ms.low == pytest.approx(m.cycles.low / 120e3)
    assert m.energy_uj.low == pytest.approx(m.latency_ms.low * target.active_mw)
    assert "42 mW" in m.sources["energy"]


def stalls(made: Program, target: Target) -> int:
    waits = emulator.run(toolchain.build(made, target), INPUT).stalls
    assert waits is not None
    return sum(waits)


def loop_of(instructions: int, rounds: int = 50) -> Program:
    body = ["adds.w r2, r2, #1"] * instructions
    lines = (f"movw r1, #{rounds}", "1: subs r1, #1", *body, "cmp r1, #0", "bne.w 1b", "bx lr")
    return program(asm("first", *lines) + asm("second", "bx lr") + ARM_RUN)


def test_a_loop_in_the_code_cache_waits_once() -> None:
    target = targets.load("stm32l4r5zi")
    small = [stalls(loop_of(100, n), target) for n in (10, 50)]  # 400 bytes of 1 KiB
    assert small[0] == small[1] > 0
    large = [stalls(loop_of(400, n), target) for n in (10, 50)]  # 1,600 bytes: each round evicts the next one's code
    assert large[1] > 4 * large[0] > 0


def test_prefetch_hides_waiting_in_straight_code() -> None:
    target = targets.load("stm32f446re")
    assert target.flash_cache is not None
    bare = replace(target, flash_cache=replace(target.flash_cache, prefetch=False))
    straight = loop_of(800, 1)
    with_it, without = stalls(straight, target), stalls(straight, bare)
    words = 800 * 4 // 16
    assert words * 5 <= without <= (words + 20) * 5
    assert words * 2 <= with_it <= (words + 20) * 2 + 100  # 6 cycles a read, 4 of them behind 4 instructions


def test_no_wait_states_no_waiting() -> None:
    target = targets.load("stm32f446re")
    flash = replace(target.memory[0], wait_states=0)
    assert stalls(loop_of(100), replace(target, memory=(flash, *target.memory[1:]))) == 0


def test_constants_from_flash_wait_once_a_read() -> None:
    """1,024 words of constants: 64 bits a read, 5 wait states, each once; a second pass finds the last 256 bytes."""
    def reading(table: str) -> Program:
        sums = "int32_t s = a[0]; for (int i = 0; i < 1024; i++) s += t[i];"
        return program(f"{table}\nSTEP void first(int8_t *a) {{ {sums} a[1] = (int8_t)s; }}\n"
                       "STEP void second(int8_t *a) { a[2] = a[0]; }\nvoid m_run(int8_t *a) { first(a); second(a); }\n")

    target = targets.load("stm32l4r5zi")
    values = ", ".join(str(i * 7919 % 1000) for i in range(1024))
    flash = stalls(reading(f"static const int32_t t[1024] = {{{values}}};"), target)
    ram = stalls(reading(f"static volatile int32_t t[1024] = {{{values}}};"), target)
    assert abs((flash - ram) - 512 * 5) <= 60
