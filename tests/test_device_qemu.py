"""The second backend: QEMU counts what unicorn counts, to the instruction, and runs the core with vectors.

Needs Debian's qemu-system-arm (Cortex-M) and qemu-system-misc (RISC-V).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import toys
from device_programs import C_RUN, c_program, need, program
from ratti import models, nets, targets
from ratti.deploy import deploy, outputs_of, prepare
from ratti.device import cores, emulator, toolchain
from ratti.device.emulator import Run
from ratti.errors import EmulationError
from ratti.graph import interpreter
from ratti.graph.ir import Graph
from ratti.samples import make_inputs
from ratti.targets import Region, Target
from ratti.verbs.check import check
from ratti.verbs.verify import verify

pytestmark = pytest.mark.toolchain

# QEMU's boards and where they have memory for code and for data (QEMU hw/arm/mps2.c, hw/riscv/virt.c).
BOARDS = {
    "stm32l4r5zi": ("mps2-an386", 0x0000_0000, 0x2000_0000),
    "stm32h743": ("mps2-an500", 0x0000_0000, 0x2000_0000),
    "esp32c3": ("virt", 0x8000_0000, 0x8100_0000),
    "thejas32": ("virt", 0x8000_0000, 0x8100_0000),
}


def moved(name: str) -> tuple[Target, str]:
    """The target with its core, at the addresses of a board of QEMU."""
    board, code, data = BOARDS[name]
    memory = (Region("flash", "flash", code, 1 << 18, ("code", "constants")),
              Region("ram", "ram", data, 1 << 16, ("data", "stack")))
    return replace(targets.load(name), memory=memory, flash_cache=None), board


def both(graph: Graph, name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Run]:
    """The same firmware in unicorn and in QEMU."""
    target, board = moved(name)
    firmware = toolchain.build(prepare(graph, target.isa).program, target)
    inputs = make_inputs(graph, 6)[-2:]
    ours = emulator.run(firmware, inputs, watched=False)
    monkeypatch.setitem(cores.CORES, target.core, replace(cores.load(target.core), board=board))
    obstacle = cores.load(target.core).obstacle
    if obstacle:
        pytest.skip(obstacle)
    return ours, emulator.run(firmware, inputs, watched=False)


def assert_equal(ours: Run, theirs: Run) -> None:
    assert theirs.instructions == ours.instructions
    for mine, other in zip(ours.outputs, theirs.outputs, strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_array_equal(a, b)
    assert 0 < theirs.stack_bytes <= ours.stack_bytes  # QEMU's is what was written, unicorn's what was reserved too
    assert theirs.cycles != ours.cycles or isinstance(theirs.cycles, str)


@cache
def toy() -> Graph:
    return nets.random_graph(toys.spec())


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_instruction_counts_are_equal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_equal(*both(toy(), name, monkeypatch))


@pytest.mark.parametrize("name", ["stm32l4r5zi", "esp32c3"])
def test_instruction_counts_of_a_real_model_are_equal(
    name: str, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_equal(*both(models.load(shared / "models" / "kws.tflite"), name, monkeypatch))


def test_the_core_with_vectors_runs_in_qemu() -> None:
    need("mps3-an547")
    result = check(toy(), "mps3-an547")
    assert result.fits and result.instructions and result.how["instructions"] == "emulated"
    assert sum(layer.instructions or 0 for layer in result.layers) == result.instructions
    assert result.cycles is None and "Cortex-M55" in result.absent["cycles"]
    assert verify(toy(), ["mps3-an547"], (), count=8).passes


def test_without_qemu_it_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)
    result = check(toy(), "mps3-an547")
    assert result.instructions is None and result.flash["code"] > 1000 and result.how["flash"] == "emulated"
    says = "this core runs in QEMU, and qemu-system-arm is not installed (Debian: qemu-system-arm)"
    assert result.absent["instructions"] == says
    with pytest.raises(EmulationError) as error:
        verify(toy(), ["mps3-an547"], ())
    assert str(error.value) == f"nothing runs on cortex_m55: {says}"


def test_faults_come_back_as_one_line() -> None:
    need("mps3-an547")
    target, one = targets.load("mps3-an547"), [[np.array([1], np.int8)]]
    endless = toolchain.build(c_program("for (;;) a[2] = (int8_t)(a[2] + 1);"), target)
    with pytest.raises(EmulationError, match=r"mps3-an547: no end after 0.5 s, stopped in first\+0x"):
        emulator.run(endless, one, seconds=0.5)
    wild = toolchain.build(c_program("a[1] = *(volatile int8_t *)0x50000000;"), target)
    with pytest.raises(EmulationError, match=r"mps3-an547: .* in fault\+0x"):
        emulator.run(wild, one, seconds=0.5)
    steps = "STEP void first(int8_t *a) { a[1] = a[0]; }\nSTEP void second(int8_t *a) { a[1]++; }\n"
    calls = C_RUN.replace("second(arena)", "second(arena); second(arena); second(arena)")
    many = toolchain.build(program(steps + calls), target)
    with pytest.raises(EmulationError, match="the entry function calls more often than it has steps"):
        emulator.run(many, one)


def test_inputs_and_outputs_of_several_inferences() -> None:
    need("mps3-an547")
    graph = toy()
    inputs = make_inputs(graph, 5)
    measured = deploy(graph, targets.load("mps3-an547"), inputs)
    for row, got in zip(inputs, outputs_of(measured), strict=True):
        for want, have in zip(interpreter.run(graph, row).values(), got, strict=True):
            np.testing.assert_array_equal(have, want)
