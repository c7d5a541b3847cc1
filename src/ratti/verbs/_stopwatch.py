"""One engine in a process of its own: time of models by turns, or the memory that one of them takes.

`python -m ratti.verbs._stopwatch` reads one job as JSON on stdin and prints its result as JSON: so that no
engine's threads, caches or memory disturb another's figures.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import runtimes
from ..formats import tflite
from ..graph.ir import Graph
from ..runtimes import Engine, Files, Runner
from ..types import DType

Model = tuple[Graph, Files]
WARM_UP = 3
ROUND_SECONDS = 0.02  # of one model before the other has its turn


def main() -> int:
    """Does the job on stdin."""
    job = json.load(sys.stdin)
    models = [_load(m) for m in job["models"]]
    engine = runtimes.get(job["engine"])
    result = _memory(engine, models, job) if job["what"] == "memory" else _times(engine, models, job)
    print(json.dumps(result))
    return 0


def _load(model: dict[str, Any]) -> Model:
    graph = tflite.parse(base64.b64decode(model["graph"]))
    return graph, {ending: base64.b64decode(data) for ending, data in model["files"].items()}


def _times(engine: Engine, models: list[Model], job: dict[str, Any]) -> list[list[float]]:
    """Milliseconds of single inferences of each model, taken by turns."""
    runners = [(engine.run(graph, files, job["threads"]), _input(graph)) for graph, files in models]
    times: list[list[float]] = [[] for _ in runners]
    for runner, row in runners:
        for _ in range(WARM_UP):
            runner(row)
    for _ in range(job["rounds"]):
        for taken, (runner, row) in zip(times, runners, strict=True):
            taken += _round(runner, row)
    return times


def _round(runner: Runner, row: list[Any]) -> list[float]:
    out: list[float] = []
    end = time.perf_counter() + ROUND_SECONDS
    while not out or time.perf_counter() < end:
        start = time.perf_counter()
        runner(row)
        out.append((time.perf_counter() - start) * 1e3)
    return out


def _memory(engine: Engine, models: list[Model], job: dict[str, Any]) -> int | None:
    """Bytes by which the process grows at its peak when it loads and runs the last model.

    The first, a tiny one, has the engine itself loaded before. None where the system does not say.
    """
    for graph, files in models[:-1]:
        engine.run(graph, files, job["threads"])(_input(graph))
    before = _status("VmRSS")
    if before is None:
        return None
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    graph, files = models[-1]
    runner, row = engine.run(graph, files, job["threads"]), _input(graph)
    for _ in range(WARM_UP):
        runner(row)
    peak = _status("VmHWM")
    return None if peak is None else max(peak - before, 0)


def _status(field: str) -> int | None:
    """A field of /proc/self/status in bytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = (line for line in status.read_text().splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def _input(graph: Graph) -> list[Any]:
    rng = np.random.default_rng(0)
    types = [graph.type(n) for n in graph.inputs]
    return [
        rng.standard_normal(t.shape).astype(np.float32)
        if t.dtype is DType.FLOAT32
        else rng.integers(*t.dtype.limits, t.shape).astype(t.dtype.numpy)
        for t in types
    ]


if __name__ == "__main__":
    sys.exit(main())
