"""How long a model takes, and how much memory: in this computer's engines, int8 beside float; on emulated devices."""

from __future__ import annotations

import base64
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, runtimes
from ..errors import InputError, MissingDependencyError, RattiError, UnsupportedError
from ..formats import tflite
from ..graph.builder import GraphBuilder
from ..graph.dequantized import dequantized
from ..graph.ir import Graph
from ..ops.base import int8
from ..ops.relu import Relu
from ..runtimes import Engine, Files
from ..types import How

SCHEMA = "ratti.bench/1"
ROUNDS = 20
QUARTILES = (25, 50, 75)
Pair = tuple[Graph, Graph]  # int8, float


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
    """One engine. `skipped` says why there are no figures; float is None where the engine takes int8 models alone."""

    where: str
    how: How
    int8: Timing | None = None
    float32: Timing | None = None
    skipped: str = ""

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
) -> BenchResult:
    """Times `model` in the engines `names` (all that are installed), int8 and float by turns, and on emulated devices.

    `on` lists `host` and `emulator:ID`. The float model is that of the bundle's own weights; of other models the int8
    one with real weights and no rounding, which is the same work. InputError for an unknown place, engine or device.
    """
    places = [(place, *place.partition(":")[::2]) for place in on]
    known = (("host", False), ("emulator", True))
    unknown = [place for place, kind, target in places if (kind, bool(target)) not in known]
    if unknown or not on:
        raise InputError(f"cannot bench on '{', '.join(unknown)}': name host, or emulator:ID (ratti targets)")
    graph = models.load(model)
    if not graph.is_quantized:
        raise UnsupportedError(f"model '{graph.name}' is a float model; bench takes int8 ones, beside their float form")
    real, source = _float_model(model, graph) if "host" in on else (graph, "none")
    rows: list[BenchRow] = []
    for place, _, target in places:
        rows += [_emulated(graph, place, target)] if target else _on_host((graph, real), names, threads, rounds)
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


def _emulated(graph: Graph, place: str, target: str) -> BenchRow:
    from .check import check

    result = check(graph, target)
    if result.latency_range_ms is None:
        return BenchRow(place, How.ABSENT, skipped=result.absent.get("latency", "no time"))
    low, high = result.latency_range_ms
    slow = low if high is None else high
    return BenchRow(place, How.PRICED, Timing(slow, (low, slow), 1, result.ram["total"], result.flash["total"] or 0))


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
