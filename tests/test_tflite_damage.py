"""Damaged `.tflite` files: nothing but ratti's own errors may come of them, soon, and without filling the memory.

The long form is fuzz.py.
"""

from __future__ import annotations

import gc
import resource
import time
from pathlib import Path

import numpy as np
import pytest

from ratti.errors import FormatError, UnsupportedError
from ratti.formats import tflite
from ratti.graph.passes import run_pipeline
from ratti.graph.text import to_text
from tflite_files import mutations, small_model

SECONDS = 2.0  # for one file
MEMORY = 512 * 1024  # KiB by which the process may grow
GROWTH = 4 * 1024  # KiB over a thousand files
STATM = Path("/proc/self/statm")


def read(data: bytes) -> str:
    """What became of a file: "graph", or the one line of the error."""
    start = time.monotonic()
    try:
        graph = tflite.parse(data)
        run_pipeline(graph)
        to_text(graph)
        result = "graph"
    except (FormatError, UnsupportedError) as error:
        result = str(error)
        assert result and "\n" not in result and len(result) < 2000
    assert time.monotonic() - start < SECONDS
    return result


@pytest.fixture(autouse=True)
def bounded_memory() -> object:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEMORY


def test_truncation_at_every_byte() -> None:
    data = small_model()
    assert read(data) == "graph"
    results = [read(data[:k]) for k in range(len(data))]
    assert "graph" not in results
    assert any("identifier" in r for r in results) and any("damaged" in r for r in results)


def test_truncation_of_a_real_model(shared: Path, rng: np.random.Generator) -> None:
    data = (shared / "models" / "kws.tflite").read_bytes()
    for k in rng.choice(len(data), 200, replace=False):
        assert read(data[:k]) != "graph"


def test_mutations() -> None:
    results = [read(data) for data in mutations(small_model(), 3000, seed=1)]
    # Damaged weights still make a graph; damaged tables do not.
    graphs = results.count("graph")
    assert 0.1 * len(results) < graphs < 0.9 * len(results)
    assert len(set(results)) > 50


def test_mutations_of_a_real_model(shared: Path) -> None:
    data = (shared / "models" / "kws.tflite").read_bytes()
    # The tables lie behind the weights in this file.
    results = {read(data[: -len(tail)] + tail) for tail in _tails(data)}
    assert len(results) > 20


def test_mutations_anywhere_in_a_real_model(shared: Path) -> None:
    data = (shared / "models" / "kws.tflite").read_bytes()
    results = [read(m) for m in mutations(data, 150, seed=4)]
    assert 0.1 * len(results) < results.count("graph") < 0.9 * len(results)


@pytest.mark.skipif(not STATM.exists(), reason="optional: only Linux tells how much memory is in use now")
def test_memory_does_not_grow() -> None:
    """What the first files needed is enough for all that follow."""
    files = list(mutations(small_model(), 1500, seed=5))
    used = []
    for k, data in enumerate(files):
        read(data)
        if k % 500 == 499:
            gc.collect()
            used.append(int(STATM.read_text().split()[1]) * resource.getpagesize() / 1024)
    assert used[-1] - used[0] < GROWTH, used


def _tails(data: bytes) -> list[bytes]:
    tail = data[-12000:]
    return [(m + bytes(len(tail)))[: len(tail)] for m in mutations(tail, 300, seed=2)]


def test_mutated_graphs_can_be_written_again() -> None:
    """What was accepted is a model: it can be written and read."""
    accepted = 0
    for data in mutations(small_model(), 300, seed=3):
        if read(data) == "graph":
            again = tflite.parse(tflite.serialize(tflite.parse(data)))
            accepted += len(again.nodes) > 0
    assert accepted > 50
