"""How long a model takes, and how much memory: in this computer's engines, int8 beside float; on emulated devices."""

from __future__ import annotations

import base64
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, runtimes, targets
from ..errors import InputError, MissingDependencyError, RattiError, UnsupportedError
from ..formats import tflite
from ..graph.builder import GraphBuilder
from ..graph.dequantized import dequantized
from ..graph.ir import Graph
from ..ops.base import int8
from ..ops.relu import Relu
from ..runtimes import Engine, Files
from ..types import How
from . import _boards, _remote
from ._boards import BoardRun
from ._remote import RemoteRun

SCHEMA = "ratti.bench/1"
ROUNDS = 20
QUARTILES = (25, 50, 75)
Pair = tuple[Graph, Graph]  # int8, float


@dataclass(frozen=True)
class Options:
    """How boards and other computers are reached. `board` is the C file with a board's functions, `firmware` a file to
    flash first; `target` says what to build for, and the clock of a board that does not tell. `sustain_s` is how long a
    phone or gateway is kept busy; 0: as long as the rounds take. `say` hears of the time left."""

    target: str = ""
    board: Path | None = None
    firmware: Path | None = None
    baud: int = _boards.BAUD
    sustain_s: float = 0.0
    ssh_options: tuple[str, ...] = ()
    say: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        if self.board is not None and not self.target:
            raise InputError("--board needs --target: for which device is the firmware built?")
        if self.board is not None and self.firmware is not None:
            raise InputError("name --board (firmware is built) or --flash (firmware that you built), not both")
        if self.target:
            targets.load(self.target)


@dataclass(frozen=True)
class Timing:
    """One model in one engine. `spread_ms` is the range from the first to the third quartile."""

    median_ms: float
    spread_ms: tuple[float, float]
    runs: int
    peak_bytes: int | None  # growth of the process, from the engine alone to the model loaded and run
    file_bytes: int


@dataclass(frozen=True)
class BenchRow:
    """One engine or device. `skipped` says why there are no figures; float is None where the engine takes int8 models
    alone; `board` and `remote` are what those places add."""

    where: str
    how: How
    int8: Timing | None = None
    float32: Timing | None = None
    skipped: str = ""
    board: BoardRun | None = None
    remote: RemoteRun | None = None

    @property
    def speedup(self) -> float | None:
        """How many times as fast int8 is as float."""
        return self.float32.median_ms / self.int8.median_ms if self.int8 and self.float32 else None


@dataclass(frozen=True)
class BenchResult:
    """All engines. `host` says on what the figures were taken."""

    model: str
    macs: int
    host: str
    threads: int
    float_model: str
    rows: tuple[BenchRow, ...]

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        rows = [{**asdict(r), "how": r.how.value, "speedup": r.speedup} for r in self.rows]
        return {**asdict(self), "schema": SCHEMA, "rows": rows}

    def __str__(self) -> str:
        from ..report import tables

        return tables.bench(self)


def bench(
    model: str | Path | Graph,
    on: Sequence[str] = ("host",),
    names: Sequence[str] = (),
    threads: int = 1,
    rounds: int = ROUNDS,
    options: Options | None = None,
) -> BenchResult:
    """Times `model` in the engines `names` (all that are installed), int8 and float by turns, and on emulated devices.

    `on` lists `host`, `emulator:ID`, `serial:PORT` (a board; `serial:emulator:ID` is an emulated one behind a
    pseudo-terminal), `ssh:USER@HOST`, `adb` and `adb:SERIAL`. The float model is that of the bundle's own weights; of
    other models the int8 one with real weights and no rounding, which is the same work. InputError for an unknown
    place, engine or device.
    """
    places = [(place, *place.partition(":")[::2]) for place in on]
    unknown = [place for place, kind, rest in places if kind not in PLACES or PLACES[kind][0] not in (None, bool(rest))]
    if unknown or not on:
        known = "host, emulator:ID (ratti targets), serial:PORT, serial:emulator:ID, ssh:USER@HOST, adb or adb:SERIAL"
        raise InputError(f"cannot bench on '{', '.join(unknown)}': name {known}")
    options = options or Options()
    graph = models.load(model)
    if not graph.is_quantized:
        raise UnsupportedError(f"model '{graph.name}' is a float model; bench takes int8 ones, beside their float form")
    real, source = _float_model(model, graph) if "host" in on else (graph, "none")
    rows: list[BenchRow] = []
    for place, kind, rest in places:
        one = PLACES[kind][1]
        rows += [one(graph, place, rest, options, rounds)] if one else _on_host((graph, real), names, threads, rounds)
    label = graph.name if isinstance(model, Graph) else str(model)
    return BenchResult(label, graph.macs(), _host(), threads, source, tuple(rows))


def _float_model(model: str | Path | Graph, graph: Graph) -> tuple[Graph, str]:
    """The float graph beside `graph`, and what it is."""
    real, reason = None, ""
    try:
        real = models.load_float(model)
    except MissingDependencyError:
        reason = " (the bundle's own weights need PyTorch)"
    if real is None:
        return dequantized(graph), f"the int8 model with real weights and no rounding{reason}"
    return real, f"the bundle's own weights ({models.BUNDLE_WEIGHTS})"


def _on_host(pair: Pair, names: Sequence[str], threads: int, rounds: int) -> list[BenchRow]:
    graph, rows = pair[0], []
    for name in names or runtimes.engines():
        engine = runtimes.get(name)
        reason = engine.supports(graph) if engine.available() else "not installed"
        if reason and names:
            raise UnsupportedError(f"{name}: {reason}")
        rows.append(BenchRow(name, How.MEASURED, skipped=reason) if reason else _time(engine, pair, threads, rounds))
    return rows


def _time(engine: Engine, pair: Pair, threads: int, rounds: int) -> BenchRow:
    graph, real = pair
    graphs = [graph] if engine.supports(real) else [graph, real]
    files = [engine.export(g) for g in graphs]
    tiny = _tiny()
    warm = _packed(tiny, engine.export(tiny))
    packed = [_packed(g, f) for g, f in zip(graphs, files, strict=True)]
    times = _job(engine, "times", packed, threads, rounds)
    timings = []
    for taken, one, own in zip(times, packed, files, strict=True):
        low, middle, high = (float(q) for q in np.percentile(taken, QUARTILES))
        peak = _job(engine, "memory", [warm, one], threads, rounds)
        size = sum(len(data) for data in own.values())
        timings.append(Timing(middle, (low, high), len(taken), peak, size))
    return BenchRow(engine.name, How.MEASURED, timings[0], timings[1] if len(timings) > 1 else None)


def _emulated(graph: Graph, place: str, target: str, options: Options, rounds: int) -> BenchRow:
    from .check import check

    result = check(graph, target)
    if result.latency_range_ms is None:
        return BenchRow(place, How.ABSENT, skipped=result.absent.get("latency", "no time"))
    low, high = result.latency_range_ms
    slow = low if high is None else high
    return BenchRow(place, How.PRICED, Timing(slow, (low, slow), 1, result.ram["total"], result.flash["total"] or 0))


def _board(graph: Graph, place: str, port: str, options: Options, rounds: int) -> BenchRow:
    o, (kind, _, target) = options, port.partition(":")
    if kind == "emulator":
        found, how = _boards.emulated(graph, targets.load(target)), How.EMULATED
    else:
        found, how = _boards.real(graph, port, o.baud, o.target, o.board, o.firmware), How.MEASURED
    clock = found.clock_hz or (targets.load(o.target).clock_hz if o.target else 0)
    if found.counts != "cycles" or not clock or not found.count:
        return BenchRow(place, how, board=found)
    ms = 1e3 * found.count / clock
    return BenchRow(place, how, Timing(ms, (ms, ms), found.inferences, found.stack_bytes or None, 0), board=found)


def _remote_row(graph: Graph, place: str, rest: str, options: Options, rounds: int) -> BenchRow:
    found = _remote.run(graph, place, rounds, options.sustain_s, options.ssh_options, options.say)
    timing = Timing(found.median_ms, found.spread_ms, found.runs, found.peak_bytes, found.file_bytes)
    return BenchRow(place, How.MEASURED, timing, remote=found)


# What may be named: whether something stands behind the colon (None: as you like), and what gives the row.
PLACES: Mapping[str, tuple[bool | None, Callable[[Graph, str, str, Options, int], BenchRow] | None]] = {
    "host": (False, None),
    "emulator": (True, _emulated),
    "serial": (True, _board),
    "ssh": (True, _remote_row),
    "adb": (None, _remote_row),
}


def _job(engine: Engine, what: str, packed: Sequence[Mapping[str, Any]], threads: int, rounds: int) -> Any:
    """Does one job in a process of its own, which may use `threads` threads."""
    job = {"what": what, "engine": engine.name, "models": packed, "threads": threads, "rounds": rounds}
    limits = dict.fromkeys(("OMP_NUM_THREADS", "TVM_NUM_THREADS"), str(threads))
    command = [sys.executable, "-W", "ignore", "-m", "ratti.verbs._stopwatch"]
    environment = {**os.environ, **limits}
    text = json.dumps(job)
    result = subprocess.run(command, input=text, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise RattiError(f"{engine.name} failed: {(result.stderr.strip().splitlines() or ['no message'])[-1]}")
    return json.loads(result.stdout.splitlines()[-1])


def _packed(graph: Graph, files: Files) -> dict[str, Any]:
    encoded = {ending: base64.b64encode(data).decode() for ending, data in files.items()}
    return {"graph": base64.b64encode(tflite.serialize(graph)).decode(), "files": encoded}


def _tiny() -> Graph:
    """A model of four elements: what an engine takes by itself."""
    builder = GraphBuilder("tiny")
    x = builder.input("x", int8((1, 4), 0.1, 0))
    return builder.build([builder.quantized(Relu(), [x], 0.1, -128)])


def _host() -> str:
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
