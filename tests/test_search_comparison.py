"""The comparison of searches: pairs at equal work, intervals over groups and seeds, what each found kept."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ratti.data import load
from ratti.verbs.check import Limits

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Iterator[ModuleType]:
    pytest.importorskip("optuna", reason="needs the extra `search`")
    sys.path.insert(0, str(FOLDER))
    yield importlib.import_module("search")
    sys.path.remove(str(FOLDER))


def net(bench: ModuleType, val: float, instructions: int, right: np.ndarray) -> dict[str, Any]:
    return {"val_accuracy": val, "accuracy": float(right.mean()), "instructions": instructions, "ram": 1, "flash": 1,
            "latency_ms": 50.0, "right": bench.kept.packed(right)}


def test_a_net_is_compared_with_one_that_takes_no_less_work(bench: ModuleType) -> None:
    right = np.ones(4, bool)
    front = [net(bench, 0.9, 300, right), net(bench, 0.8, 200, right), net(bench, 0.7, 100, right)]
    base = [net(bench, 0.75, 250, right), net(bench, 0.85, 50, right)]
    one, other = bench._at_equal_work(front, base)
    assert (one["instructions"], other["instructions"]) == (200, 250)  # nothing takes as little as 50
    assert bench._at_equal_work(front, base[1:]) is None


def test_an_interval_covers_groups_and_seeds(bench: ModuleType) -> None:
    """Ten groups of ten: the second net is wrong on two whole groups, so the interval is wider than by samples."""
    right = np.ones(100, bool)
    worse = right.copy()
    worse[:20] = False
    pair = (net(bench, 0.9, 1, right), net(bench, 0.8, 1, worse))
    gain, low, high = bench._paired([pair], np.arange(100) // 10)
    assert gain == pytest.approx(0.2) and low == pytest.approx(0.0, abs=0.05) and high >= 0.4
    equal = (pair[0], pair[0])
    gain, low, high = bench._paired([pair, equal], np.arange(100) // 10)
    assert gain == pytest.approx(0.1) and low == pytest.approx(0.0)


def test_what_searches_found_is_kept_and_reported(bench: ModuleType, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    count = len(load("digits").open_test("test"))
    good, bad = np.ones(count, bool), np.arange(count) % 2 == 0
    for seed in (0, 1):
        for name, right in (("tiny_nas", good), ("uniform", bad)):
            content = {"made": "today", "search": name, "seed": seed, "front": [net(bench, 0.9, 100, right)]}
            bench.kept.write(tmp_path / f"{name}-{seed}.json", content)
    bench.report(tmp_path, "digits", Limits(latency_ms=51.0))
    printed = capsys.readouterr().out
    assert printed.count("98.0% of what is allowed") == 4
    gains = [line.split() for line in printed.splitlines() if line.startswith("tiny_nas") and "uniform" in line]
    assert [row[2] for row in gains] == ["0", "1", "0,1"]
    assert all(row[3] == gains[0][3] and 45 < float(row[3].rstrip("%")) < 55 for row in gains)
