"""A model on a board at the other end of a serial line, real or emulated."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import targets
from ..deploy import prepare
from ..device import flash as flasher
from ..device import link, toolchain, uart
from ..errors import DeviceError, InputError, MissingDependencyError
from ..formats import tflite
from ..graph import interpreter
from ..graph.ir import Graph
from ..samples import make_inputs
from ..targets import Target

BAUD = 115200
INFERENCES = 8


@dataclass(frozen=True)
class BoardRun:
    """What a board gave. `count` is the median of `counts` ("cycles", "instructions" or nothing); `differ` counts
    elements that are not the interpreter's; `resent` requests that were lost on the line and sent again."""

    counts: str
    count: int
    stack_bytes: int
    inferences: int
    elements: int
    differ: int
    resent: int
    clock_hz: int


def number(graph: Graph) -> int:
    """By which firmware says what model it holds."""
    return int.from_bytes(hashlib.sha256(tflite.serialize(graph)).digest()[:8], "little")


def emulated(graph: Graph, target: Target) -> BoardRun:
    """The firmware on the emulated `target`, over a pseudo-terminal."""
    program = prepare(graph, target.isa).program
    firmware = toolchain.build(link.serving(program, graph.name, number(graph), uart.SOURCES), target)
    with uart.Board(firmware) as board, _open(board.path, BAUD) as port:
        return run(graph, port)


def real(graph: Graph, port: str, baud: int = BAUD, target: str = "", board: Path | None = None,
         firmware: Path | None = None) -> BoardRun:
    """The board at `port`. `firmware` is flashed first, or what is built for `target` from the C file `board`, which
    holds the board's functions; without either the board is taken as it is."""
    if board is not None:
        firmware = build(graph, targets.load(target), board)
    if firmware is not None:
        flasher.flash(firmware, port, target)
    with _open(port, baud) as line:
        return run(graph, line)


def build(graph: Graph, target: Target, board: Path) -> Path:
    """Firmware that serves `graph` from reset on, as an ELF file of the cache."""
    try:
        text = board.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the board's C file '{board}': {error}") from None
    program = prepare(graph, target.isa).program
    serving = link.serving(program, graph.name, number(graph), {"board.c": text}, main=True)
    return Path(toolchain.build(serving, target).image.path)


def run(graph: Graph, port: link.Port) -> BoardRun:
    """Some inferences over `port`, compared with the interpreter's."""
    line = link.Link(port)
    hello = line.hello()
    if hello.model != number(graph):
        raise DeviceError(f"the board holds another model ({hello.model:016x}, not {number(graph):016x}): "
                          "flash it with --board or --flash")
    sizes = [graph.type(name).bytes for name in graph.outputs]
    counts, stacks, elements, differ = [], [], 0, 0
    for row in make_inputs(graph, INFERENCES):
        found = line.infer(hello, [x.tobytes() for x in row], sizes)
        counts.append(found.count)
        stacks.append(found.stack_bytes)
        for got, want in zip(found.outputs, interpreter.run(graph, row).values(), strict=True):
            elements += want.size
            differ += int(np.count_nonzero(got.view(want.dtype) != want.ravel()))
    middle = int(np.median(counts))
    return BoardRun(hello.counts, middle, max(stacks), len(counts), elements, differ, line.resent, hello.clock_hz)


@contextlib.contextmanager
def _open(path: str, baud: int) -> Iterator[link.Port]:
    try:
        import serial
    except ImportError:
        raise MissingDependencyError("pyserial", "serial", "talking to a board") from None
    try:
        port = serial.Serial(path, baud, timeout=1.0, write_timeout=5.0)
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise InputError(f"cannot open the serial port '{path}': {error}") from None
    with port:
        port.reset_input_buffer()
        yield port
