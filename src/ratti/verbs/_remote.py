"""A model on a phone or a gateway: cross-compiled, pushed, timed there, and its outputs compared."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..deploy import prepare
from ..device import linux, remote
from ..errors import DeviceError
from ..graph import interpreter
from ..graph.ir import Graph
from ..samples import make_inputs
from ..types import KIB

INFERENCES = 8
MINUTE = 60.0
SPARE_SECONDS = 120.0


@dataclass(frozen=True)
class Slice:
    """About one second of runs: when it ended, how many, the quartiles of their times in ms; clock and temperature at
    its end, None where the system does not tell."""

    end_s: float
    runs: int
    quartiles_ms: tuple[float, float, float]
    mhz: int | None
    celsius: float | None


@dataclass(frozen=True)
class Spell:
    """A part of a long run: the median of the medians of its seconds, and the state at its end."""

    median_ms: float
    mhz: int | None
    celsius: float | None


@dataclass(frozen=True)
class RemoteRun:
    """What a phone or gateway gave. `first` and `last` are the first and the last minute of a sustained run."""

    processor: str
    median_ms: float
    spread_ms: tuple[float, float]
    runs: int
    seconds: float
    peak_bytes: int  # of the whole process
    file_bytes: int
    elements: int
    differ: int
    first: Spell | None = None
    last: Spell | None = None


def run(
    graph: Graph, place: str, rounds: int, sustain_s: float = 0.0, ssh_options: Sequence[str] = (),
    say: remote.Say | None = None,
) -> RemoteRun:
    """Times `graph` at `place` for `rounds` inferences and at least `sustain_s`."""
    shell = remote.shell(place, ssh_options)
    said = shell.output("uname -m; cat /proc/cpuinfo 2>/dev/null; true").decode("utf-8", "replace")
    kind = linux.machine(*said.partition("\n")[::2])
    binary = compiled(graph, kind)
    rows = make_inputs(graph, INFERENCES)
    data = b"".join(x.tobytes() for row in rows for x in row)
    with shell.workplace() as folder:
        shell.push(binary, f"{folder}/runner")
        shell.push(data, f"{folder}/inputs")
        at = shlex.quote(folder)
        command = f"chmod 700 {at}/runner && {at}/runner {rounds} {sustain_s:g} < {at}/inputs"
        printed = shell.output(command, seconds=sustain_s + SPARE_SECONDS, say=say)
    return read(graph, printed, kind, len(binary))


def compiled(graph: Graph, kind: str) -> bytes:
    """The program that runs there."""
    program = prepare(graph, linux.instruction_set(kind)).program
    return linux.runner(program, f"{graph.name}.h", kind).read_bytes()


def read(graph: Graph, printed: bytes, kind: str, file_bytes: int) -> RemoteRun:
    """What the program printed. DeviceError where it is not all there."""
    sizes = [graph.type(name).bytes for name in graph.outputs]
    rows = make_inputs(graph, INFERENCES)
    outputs, text = printed[: sum(sizes) * len(rows)], printed[sum(sizes) * len(rows) :]
    lines = [line.split() for line in text.decode("utf-8", "replace").splitlines()]
    slices = [_slice(line[1:]) for line in lines if line[:1] == ["slice"] and len(line) == 8]
    peaks = [int(line[1]) for line in lines if line[:1] == ["peak"] and len(line) == 2]
    if not slices or not peaks:
        raise DeviceError(f"the program on the device ended early: {printed[-200:].decode('utf-8', 'replace').strip()}")
    elements, differ = _compare(graph, outputs, sizes)
    medians = [s.quartiles_ms[1] for s in slices]
    spread = (min(s.quartiles_ms[0] for s in slices), max(s.quartiles_ms[2] for s in slices))
    total = slices[-1].end_s
    first = last = None
    if total >= 2 * MINUTE:
        first = _spell([s for s in slices if s.end_s <= MINUTE + 1])
        last = _spell([s for s in slices if s.end_s > total - MINUTE])
    runs = sum(s.runs for s in slices)
    middle = float(np.median(medians))
    return RemoteRun(kind, middle, spread, runs, total, peaks[-1] * KIB, file_bytes, elements, differ, first, last)


def _slice(words: list[str]) -> Slice:
    low, middle, high = (int(w) / 1e6 for w in words[2:5])
    mhz, milli = int(words[5]), int(words[6])
    return Slice(float(words[0]), int(words[1]), (low, middle, high), mhz or None, milli / 1e3 if milli else None)


def _spell(slices: list[Slice]) -> Spell:
    return Spell(float(np.median([s.quartiles_ms[1] for s in slices])), slices[-1].mhz, slices[-1].celsius)


def _compare(graph: Graph, data: bytes, sizes: list[int]) -> tuple[int, int]:
    elements = differ = at = 0
    for row in make_inputs(graph, INFERENCES):
        for want, size in zip(interpreter.run(graph, row).values(), sizes, strict=True):
            got = np.frombuffer(data, want.dtype, want.size, at)
            elements += want.size
            differ += int(np.count_nonzero(got != want.ravel()))
            at += size
    return elements, differ
