"""The serial protocol: emulated boards behind a real pseudo-terminal, over lines that lose and change bytes."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import host
import toys
from ratti import nets, targets
from ratti.cli import main
from ratti.deploy import Deployment, prepare
from ratti.device import flash, link, toolchain, uart
from ratti.errors import DeviceError, InputError, MissingDependencyError
from ratti.graph import interpreter
from ratti.graph.ir import Graph
from ratti.samples import make_inputs
from ratti.verbs import _boards

pytestmark = pytest.mark.toolchain
MODEL = 0x1234567890ABCDEF


@pytest.fixture(scope="module")
def serial():  # type: ignore[no-untyped-def]
    if importlib.util.find_spec("serial") is None:
        pytest.skip("pyserial is missing (pip install 'ratti[serial]')")
    import serial

    return serial


@pytest.fixture(scope="module")
def graph() -> Graph:
    return nets.random_graph(toys.spec())


def deployed(graph: Graph, target: str) -> tuple[Deployment, toolchain.Firmware]:
    part = targets.load(target)
    deployment = prepare(graph, part.isa)
    return deployment, toolchain.build(link.serving(deployment.program, "toy", MODEL, uart.SOURCES), part)


@pytest.fixture(scope="module")
def board(graph: Graph) -> Iterator[uart.Board]:
    with uart.Board(deployed(graph, "stm32l4r5zi")[1]) as found:
        yield found


def wanted(graph: Graph, row: list[np.ndarray]) -> np.ndarray:
    return next(iter(interpreter.run(graph, row).values())).ravel()


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0", b"a", b"a\0", b"\0a", bytes(range(200)), b"\xff" * 200])
def test_frames_are_read_back_and_hold_no_zero(data: bytes) -> None:
    frame = link.encode(data)
    assert frame[-1] == 0 and 0 not in frame[:-1] and link.decode(frame[:-1]) == data


def test_what_is_no_frame_is_refused() -> None:
    assert link.decode(b"\x05ab") is None and link.decode(b"\x01\x09a") is None
    rng = random.Random(20)
    for _ in range(2000):
        noise = bytes(rng.randrange(1, 256) for _ in range(rng.randrange(1, 40)))
        data = link.decode(noise)
        assert data is None or len(data) == len(noise) - 1


def test_the_checksum_is_the_published_one() -> None:
    assert link.checksum(b"123456789") == 0x29B1  # the check value of CRC-16/CCITT-FALSE


def test_the_device_side_has_no_warnings(graph: Graph, system_compiler) -> None:  # type: ignore[no-untyped-def]
    deployment = prepare(graph, "portable")
    files = {**deployment.program.sources, **link.sources(deployment.program, "toy", MODEL)}
    for compiler in (("zig", "cc"), (system_compiler("gcc"),)):
        assert host.compiler_says(files, (*compiler, "-std=c99", "-O2", "-pedantic", *host.WARNINGS)) == ""


@pytest.mark.parametrize("target", ["stm32l4r5zi", "rp2040", "esp32c3"])
def test_outputs_count_and_stack_come_over_the_line(graph: Graph, target: str, serial) -> None:  # type: ignore[no-untyped-def]
    """The counter is the emulator's to a few instructions of calling; the stack too, less the frames of start-up."""
    from ratti.device import emulator

    deployment, firmware = deployed(graph, target)
    rows = make_inputs(graph, 4)
    plain = emulator.run(toolchain.build(deployment.program, targets.load(target)), rows, watched=False)
    with uart.Board(firmware) as board, serial.Serial(board.path, timeout=1) as port:
        talk = link.Link(port)
        hello = talk.hello()
        assert (hello.model, hello.inputs, hello.outputs, hello.counts) == (MODEL, 1, 1, "instructions")
        assert hello.arena_bytes == deployment.program.arena_bytes
        for row, counted in zip(rows, plain.instructions, strict=True):
            found = talk.infer(hello, [row[0].tobytes()], [3])
            assert np.array_equal(found.outputs[0].view(np.int8), wanted(graph, row))
            assert 0 <= found.count - sum(counted) < 40
            assert plain.stack_bytes - 64 <= found.stack_bytes < plain.stack_bytes + 200
        assert (talk.resent, talk.dropped) == (0, 0)


class Noisy:
    """A line that changes, loses and adds bytes on the way, in both directions."""

    def __init__(self, port, share: float, seed: int) -> None:  # type: ignore[no-untyped-def]
        self._port, self._share, self._rng = port, share, random.Random(seed)
        self.harmed = 0

    @property
    def in_waiting(self) -> int:
        return int(self._port.in_waiting)

    @property
    def timeout(self) -> float | None:
        return self._port.timeout  # type: ignore[no-any-return]

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        self._port.timeout = seconds

    def read(self, size: int = 1) -> bytes:
        return self._harm(self._port.read(size))

    def write(self, data: bytes) -> int | None:
        return self._port.write(self._harm(data))  # type: ignore[no-any-return]

    def _harm(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self._rng.random() < self._share:
                self.harmed += 1
                out += [b"", bytes([byte ^ 1 << self._rng.randrange(8)]), bytes([byte, self._rng.randrange(256)])][
                    self._rng.randrange(3)
                ]
            else:
                out.append(byte)
        return bytes(out)


@pytest.mark.parametrize("seed", range(3))
def test_noise_costs_time_and_never_a_wrong_answer(graph: Graph, board: uart.Board, serial, seed: int) -> None:  # type: ignore[no-untyped-def]
    with serial.Serial(board.path, timeout=1) as port:
        line = Noisy(port, 0.005, seed)
        talk = link.Link(line, seconds=0.25, run_seconds=0.5, tries=40)
        hello = talk.hello()
        counts = set()
        for row in make_inputs(graph, 6):
            found = talk.infer(hello, [row[0].tobytes()], [3])
            assert np.array_equal(found.outputs[0].view(np.int8), wanted(graph, row))
            counts.add(found.count)
        assert line.harmed > 0 and talk.resent > 0 and len(counts) == 1


def test_a_request_sent_twice_is_done_once(graph: Graph, board: uart.Board, serial) -> None:  # type: ignore[no-untyped-def]
    """The model overwrites its input: a second run would give other outputs."""
    row = make_inputs(graph, 1)[0]
    with serial.Serial(board.path, timeout=1) as port:

        class Twice(Noisy):
            def write(self, data: bytes) -> int | None:
                return self._port.write(data + data)  # type: ignore[no-any-return]

        talk = link.Link(Twice(port, 0, 0))
        found = talk.infer(talk.hello(), [row[0].tobytes()], [3])
        assert np.array_equal(found.outputs[0].view(np.int8), wanted(graph, row)) and talk.dropped > 0


def test_a_request_outside_of_a_tensor_is_refused(graph: Graph, board: uart.Board, serial) -> None:  # type: ignore[no-untyped-def]
    with serial.Serial(board.path, timeout=1) as port:
        talk = link.Link(port)
        hello = talk.hello()
        with pytest.raises(DeviceError, match="outside of a tensor"):
            talk.infer(hello, [bytes(65)], [3])
        with pytest.raises(DeviceError, match="outside of a tensor"):
            talk.infer(hello, [bytes(64)], [4])
        with pytest.raises(DeviceError, match="does not know"):
            talk._ask(b"Q", b"", 1.0)
        assert talk.hello() == hello  # and it goes on


def test_noise_alone_gets_no_answer_and_does_no_harm(graph: Graph, board: uart.Board, serial) -> None:  # type: ignore[no-untyped-def]
    with serial.Serial(board.path, timeout=0.3) as port:
        port.write(random.Random(20).randbytes(20000))
        assert port.read(1) == b""
        row = make_inputs(graph, 1)[0]
        talk = link.Link(port)
        found = talk.infer(talk.hello(), [row[0].tobytes()], [3])
        assert np.array_equal(found.outputs[0].view(np.int8), wanted(graph, row))


def test_nobody_there_ends_after_the_tries(serial) -> None:  # type: ignore[no-untyped-def]
    ours, theirs = os.openpty()
    try:
        nobody = pytest.raises(DeviceError, match="no answer to 'H' after 3 tries")
        with serial.Serial(os.ttyname(theirs), timeout=0.1) as port, nobody:
            link.Link(port, seconds=0.05, tries=3).hello()
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_cut_line_is_one_clear_error(graph: Graph, serial) -> None:  # type: ignore[no-untyped-def]
    with uart.Board(deployed(graph, "stm32l4r5zi")[1]) as board, serial.Serial(board.path, timeout=1) as port:
        talk = link.Link(port, seconds=0.2, tries=3)
        hello = talk.hello()
        board.close()
        with pytest.raises(DeviceError, match=r"the line is cut|no answer"):
            talk.infer(hello, [bytes(64)], [3])


def test_bench_over_an_emulated_line(capsys: pytest.CaptureFixture, serial) -> None:  # type: ignore[no-untyped-def]
    import json

    assert main(["bench", "micro-1.0-8", "--on", "serial:emulator:esp32c3", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["how"] == "emulated" and row["board"]["differ"] == 0 and row["board"]["elements"] == 80
    assert row["board"]["counts"] == "instructions" and row["board"]["count"] > 10_000
    assert main(["bench", "micro-1.0-8", "--on", "serial:emulator:rp2040"]) == 0
    assert "all 80 outputs equal" in capsys.readouterr().out


def test_another_model_on_the_board_is_noticed(graph: Graph, board: uart.Board) -> None:
    with pytest.raises(DeviceError, match="holds another model"):
        _boards.real(graph, board.path)


def test_bad_places_are_one_line(capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
    for arguments, said in (
        (["--on", "serial"], "cannot bench on 'serial'"),
        (["--on", f"serial:{tmp_path}/none"], "cannot open the serial port"),
        (["--on", "serial:x", "--board", "b.c"], "--board needs --target"),
        (["--on", "serial:x", "--flash", f"{tmp_path}/f.elf"], "there is no firmware"),
        (["--on", "serial:x", "--flash", "f.txt"], "is no firmware that ratti flashes"),
        (["--on", "serial:x", "--board", f"{tmp_path}/b.c", "--target", "rp2040"], "cannot read the board's C file"),
        (["--on", "serial:emulator:nowhere"], "unknown target"),
    ):
        assert main(["bench", "micro-1.0-8", *arguments]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1


def test_a_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, tool in (("a.elf", "openocd"), ("a.bin", "esptool"), ("a.uf2", "picotool")):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(MissingDependencyError, match=tool):
            flash.flash(tmp_path / name, "/dev/null", "stm32l4r5zi")
    with pytest.raises(InputError, match="no OpenOCD script is known for 'ch32v003'"):
        flash.flash(tmp_path / "a.elf", "/dev/null", "ch32v003")


def test_openocd_without_a_board_says_why(tmp_path: Path) -> None:
    if shutil.which("openocd") is None:
        pytest.skip("optional: openocd is missing")
    (tmp_path / "a.elf").write_bytes(b"x")
    for target in flash.OPENOCD:  # every script is one that OpenOCD has
        with pytest.raises(DeviceError, match="openocd failed") as found:
            flash.flash(tmp_path / "a.elf", "/dev/null", target)
        assert "Can't find" not in str(found.value), str(found.value)


def test_firmware_with_a_real_port_runs_in_qemu(graph: Graph, tmp_path: Path, serial) -> None:  # type: ignore[no-untyped-def]
    """From reset on, with the driver of a UART that silicon has: the port of QEMU's model of Arm's MPS3 board."""
    qemu = shutil.which("qemu-system-arm")
    if qemu is None:
        pytest.skip("qemu-system-arm is missing")
    example = Path(__file__).parents[1] / "examples" / "board_mps3.c"
    elf = _boards.build(graph, targets.load("mps3-an547"), example)
    command = [qemu, "-M", "mps3-an547", "-display", "none", "-monitor", "none", "-serial", "pty", "-kernel", str(elf)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            path = next(word for word in process.stdout.readline().split() if word.startswith("/dev/"))
            found = _boards.real(graph, path)
            assert found.differ == 0 and found.elements == 24 and found.stack_bytes > 0
        finally:
            process.kill()
