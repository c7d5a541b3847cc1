"""What a part does not allow comes back as one clear line, and never takes this process with it."""

from __future__ import annotations

import numpy as np
import pytest

from device_programs import ARM_RUN, RISCV_RUN, asm, c_program, program
from ratti import targets
from ratti.device import emulator, toolchain
from ratti.device.emulator import Emulator
from ratti.device.measure import measure
from ratti.errors import DoesNotFitError, EmulationError, MissingDependencyError

pytestmark = pytest.mark.toolchain

INPUT = [[np.array([1], np.int8)]]
DEEP = """
__attribute__((noinline)) int deep(int n, volatile char *p) { volatile char b[64]; b[n & 63] = *p;
    return n ? deep(n - 1, b) + b[1] : 0; }
"""


@pytest.mark.parametrize("name", ["stm32l4r5zi", "rp2040", "esp32c3", "ch32v003"])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("a[1] = *(volatile int8_t *)0x60000000;", r"1-byte read at 0x60000000, where the part has no memory, in fi"),
        ("*(volatile int32_t *)0x90000000 = a[0];", r"4-byte write at 0x90000000, where the part has no memory, in"),
        ("*(volatile int32_t *)m_run = a[0];", r"4-byte write at 0x[0-9a-f]{8} in (irom|flash), which is read-only"),
        ("((void (*)(int8_t *))(a + 4))(a);", r"fetch at 0x[0-9a-f]{8} in (s|d)ram, which holds no code"),
    ],
)
def test_wild_accesses(name: str, body: str, says: str) -> None:
    if name in ("stm32l4r5zi", "rp2040"):  # the lowest bit of a function's address says Thumb
        body = body.replace("m_run = ", "((uintptr_t)m_run & ~3u) = ").replace("(a + 4)", "((uintptr_t)(a + 4) | 1)")
    with pytest.raises(EmulationError, match=says) as error:
        measure(c_program(body), targets.load(name), INPUT)
    assert str(error.value).startswith(f"{name}: ")
    assert "inference 0" in str(error.value)
    assert "\n" not in str(error.value)


def test_reading_past_two_kilobytes_of_ram_faults() -> None:
    """The part's RAM ends inside a page of the emulator's memory."""
    good = c_program("a[1] = *(volatile int8_t *)0x200007ff;")
    assert measure(good, targets.load("ch32v003"), INPUT).instructions > 0
    with pytest.raises(EmulationError, match="1-byte read at 0x20000800, where the part has no memory"):
        measure(c_program("a[1] = *(volatile int8_t *)0x20000800;"), targets.load("ch32v003"), INPUT)


@pytest.mark.parametrize("name", ["ch32v003", "stm32g0b1"])
def test_stack_overflow_does_not_fit(name: str) -> None:
    made = c_program("a[1] = (int8_t)deep(a[0] * 9000, (volatile char *)a);")
    made = program(DEEP + made.sources["m.c"].split("m_run(int8_t *arena);\n")[1])
    says = r"static data \(\d+ bytes\) leave the stack [\d,]+ bytes of sram"
    with pytest.raises(EmulationError, match=says) as error:
        measure(made, targets.load(name), INPUT)
    assert isinstance(error.value, DoesNotFitError)
    assert "in deep+" in str(error.value)


def test_endless_loop_is_stopped_and_named() -> None:
    with pytest.raises(EmulationError, match=r"no end after 0.3 s, stopped in first\+"):
        measure(c_program("while (*(volatile int8_t *)a) ;"), targets.load("stm32f446re"), INPUT, seconds=0.3)


def test_a_worker_that_does_not_answer_is_killed_and_replaced() -> None:
    firmware = toolchain.build(c_program("while (*(volatile int8_t *)a) ;"), targets.load("stm32f446re"))
    job = emulator.describe(firmware) | {"n_inferences": 1, "seconds": 1000.0}
    with Emulator() as own:
        with pytest.raises(EmulationError, match=r"gave no answer in 0\.5 s"):
            own.request(job, firmware.image.contents() + b"\1", 0.5)
        assert measure(c_program("a[2] = a[0];"), targets.load("stm32f446re"), INPUT, emulator=own).instructions > 0


def test_a_worker_that_dies_is_an_error_and_replaced() -> None:
    with Emulator() as own:
        made, target = c_program("a[2] = a[0];"), targets.load("stm32f446re")
        first = measure(made, target, INPUT, emulator=own).instructions
        process = own._process
        assert process is not None
        process.kill()
        process.wait()
        assert measure(made, target, INPUT, emulator=own).instructions == first


def test_workers_are_replaced_before_they_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "REQUESTS_PER_WORKER", 2)
    firmware = toolchain.build(c_program("a[2] = a[0];"), targets.load("rp2040"))
    with Emulator() as own:
        processes = []
        for _ in range(5):
            emulator.run(firmware, INPUT, emulator=own)
            assert own._process is not None
            processes.append(own._process.pid)
    assert processes[0] == processes[1] != processes[2] == processes[3] != processes[4]


def test_a_request_that_makes_no_sense_is_an_error() -> None:
    with Emulator() as own, pytest.raises(EmulationError, match="refused"):
        own.request({"do": "sing"}, b"", 5)


@pytest.mark.parametrize(
    ("name", "line", "says"),
    [
        ("rp2040", ".inst.w 0xfb21f002", "smuad"),  # DSP
        ("rp2040", ".inst.n 0xb900", "cbnz"),
        ("rp2040", ".inst.w 0xfbb0f0f1", "udiv"),
        ("stm32l4r5zi", ".inst.w 0xee300b00", "vadd.f64"),  # its FPU has single precision
        ("stm32l4r5zi", ".inst.w 0xf2200840", "unknown 0xf2200840"),  # Neon
        ("ch32v003", ".insn 0x02a50533", "mul"),
        ("ch32v003", ".insn 0x00080533", "a6"),
        ("ch32v003", ".insn 0x10052503 | 0x2f", "first"),  # atomic
        ("esp32c3", ".insn 0x00a57553", "fadd.s"),
    ],
)
def test_instructions_that_the_part_does_not_have(name: str, line: str, says: str) -> None:
    leave, entry = ("ret", RISCV_RUN) if name in ("ch32v003", "esp32c3") else ("bx lr", ARM_RUN)
    table = "__attribute__((used)) static const int8_t table[300] = {1};\n"  # constants may lie before the code
    made = program(table + asm("first", line, leave) + asm("second", leave) + entry)
    with pytest.raises(EmulationError, match=f"{name} has no such instruction .*{says}") as error:
        measure(made, targets.load(name), INPUT)
    assert "first+0x0" in str(error.value)


def test_dsp_instructions_are_fine_where_there_is_a_dsp() -> None:
    made = program(asm("first", ".inst.w 0xfb21f002", "bx lr") + asm("second", "bx lr") + ARM_RUN)
    for name in ("stm32l4r5zi", "stm32h743", "stm32u575"):
        assert measure(made, targets.load(name), INPUT).instructions == 3 + 2 + 2 + 1 + 1


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("stm32l4r5zi", ("adds r0, #1", "ldrd r1, r2, [r0]")),
        ("stm32l4r5zi", ("adds r0, #2", "ldm r0, {r1, r2}")),
        ("rp2040", ("adds r0, #1", "ldr r1, [r0]")),
        ("ch32v003", ("addi a0, a0, 2", "lw a1, 0(a0)")),
        ("esp32c3", ("addi a0, a0, 1", "lh a1, 0(a0)")),
    ],
)
def test_misaligned_accesses_that_the_core_does_not_allow(name: str, lines: tuple[str, str]) -> None:
    leave, entry = ("ret", RISCV_RUN) if name in ("ch32v003", "esp32c3") else ("bx lr", ARM_RUN)
    made = program(asm("first", *lines, leave) + asm("second", leave) + entry)
    with pytest.raises(EmulationError, match=r"misaligned access.*in first\+0x2"):
        measure(made, targets.load(name), INPUT)


def test_single_loads_may_be_unaligned_on_armv7m() -> None:
    made = program(asm("first", "adds r0, #1", "ldr r1, [r0]", "bx lr") + asm("second", "bx lr") + ARM_RUN)
    assert measure(made, targets.load("stm32l4r5zi"), INPUT).instructions == 3 + 3 + 2 + 1 + 1


@pytest.mark.parametrize(("name", "line"), [("stm32l4r5zi", "udf #1"), ("rp2040", "bkpt #0"), ("esp32c3", "ebreak")])
def test_traps_are_named(name: str, line: str) -> None:
    leave, entry = ("ret", RISCV_RUN) if name == "esp32c3" else ("bx lr", ARM_RUN)
    made = program(asm("first", line, leave) + asm("second", leave) + entry)
    with pytest.raises(EmulationError, match=r"in first\+0x0, inference 0"):
        measure(made, targets.load(name), INPUT)


def test_more_calls_than_steps() -> None:
    made = program("STEP void first(int8_t *a) { a[1] = a[0]; }\n"
                   "void m_run(int8_t *a) { first(a); first(a); first(a + 1); first(a); }\n", steps=1)
    with pytest.raises(EmulationError, match="calls more often than it has steps"):
        measure(made, targets.load("rp2040"), INPUT)
    fewer = program("STEP void first(int8_t *a) { a[1] = a[0]; }\nvoid m_run(int8_t *a) { first(a); }\n", steps=3)
    with pytest.raises(EmulationError, match=r"m_run made . or . calls but has 3 steps: it must be a straight"):
        measure(fewer, targets.load("rp2040"), INPUT)


def test_the_fpu_is_on_where_there_is_one() -> None:
    made = program("STEP void first(int8_t *a) { volatile float f = a[0]; f = f * 2.5f; a[1] = (int8_t)f; }\n"
                   "void m_run(int8_t *a) { first(a); }\n", steps=1)
    m = measure(made, targets.load("stm32l4r5zi"), [[np.array([4], np.int8)]])
    assert m.outputs[0][0].view(np.int8)[0] == 10


def test_missing_emulator_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with Emulator() as own, pytest.raises(MissingDependencyError, match=r"unicorn.*pip install 'ratti\[device\]'"):
        own.request({"do": "check"}, b"", 5)
