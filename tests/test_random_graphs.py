"""A hundred random graphs through every engine; thousands by `tests/random_graphs.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import random_graphs
from random_graphs import Case, check_batch, difference, has_work, smallest
from ratti.graph import interpreter
from ratti.graph.passes import run_pipeline
from ratti.graph.text import to_text
from ratti.runtimes.tflm import Session

pytestmark = [pytest.mark.toolchain, pytest.mark.oracle]

BATCHES = {"stm32l4r5zi": 10_000, "rp2040": 20_000, "esp32c3": 30_000, "ch32v003": 40_000}


@pytest.mark.parametrize("target_id", BATCHES)
def test_a_hundred_graphs_are_equal_everywhere(target_id: str) -> None:
    # Without optimization compilers are three times as fast; what it does to kernels is for other tests.
    assert check_batch(BATCHES[target_id], 100 // len(BATCHES), target_id, "-O0") == ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**9), st.integers(1, 20))
def test_the_passes_leave_the_meaning_alone(seed: int, nodes: int) -> None:
    """Interpreter before and after the passes, and TFLite Micro: equal. Hypothesis finds the fewest nodes."""
    graph = Case(seed, nodes).graph
    after, session = run_pipeline(graph), Session(graph)
    for row in random_graphs.inputs_of(graph):
        want = interpreter.run(graph, row)
        for got in (interpreter.run(after, row).values(), session.run(row)):
            for a, b in zip(want.values(), got, strict=True):
                np.testing.assert_array_equal(a, np.asarray(b).reshape(a.shape), to_text(graph))


def test_what_differs_is_found_and_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is wrong about one graph, as soon as that has three nodes."""
    cases = [c for c in map(random_graphs.case, range(50, 56)) if has_work(c.graph)]
    bad = next(c for c in cases if c.nodes > 4)

    def engines(some, target_id, *flags):
        right = random_graphs.wanted(some)
        rows = [[outputs[k] for outputs in right] for k in range(len(right[0]))]
        for c, outputs in zip(some, rows[0], strict=True):
            if c.seed == bad.seed and c.nodes >= 3:
                outputs[0] = outputs[0] ^ 1
        yield "broken", rows

    monkeypatch.setattr(random_graphs, "engines", engines)
    assert difference(cases, "rp2040").startswith("broken: Case(seed=")
    said = smallest(cases, "rp2040")
    assert said.startswith(f"broken: Case(seed={bad.seed}, nodes=3), sample 0, output 0:")


def test_the_long_run_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    state, seen = tmp_path / "state.json", []
    monkeypatch.setattr(random_graphs, "check_batch", lambda first, count, target: seen.append((first, target)) or "")
    monkeypatch.setattr(sys, "argv", ["random_graphs.py", "20", "--state", str(state)])
    with pytest.raises(SystemExit) as end:
        random_graphs.main()
    assert end.value.code == 0 and json.loads(state.read_text()) == {"done": 20, "found": []}
    monkeypatch.setattr(sys, "argv", ["random_graphs.py", "40", "--state", str(state)])
    with pytest.raises(SystemExit):
        random_graphs.main()
    assert [first for first, _ in seen] == [0, 10, 20, 30] and len({t for _, t in seen}) == 4
    assert "40 graphs, 0 differences" in capsys.readouterr().out
