"""The arithmetic of the search benchmark: the same nets, pairs at equal work, intervals, what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ratti.data import load as load_data
from ratti.search.spaces import Task, load
from ratti.verbs.check import Limits

pytestmark = pytest.mark.torch
pytest.importorskip("torch", reason="torch is missing (pip install 'ratti[train]')")


@pytest.fixture(scope="module")
def bench(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("search")


def net(bench: ModuleType, val: float, instructions: int, right: np.ndarray) -> dict[str, Any]:
    return {"val_accuracy": val, "accuracy": float(right.mean()), "instructions": instructions, "ram": 1, "flash": 1,
            "latency_ms": 50.0, "right": bench.kept.packed(right)}


def test_the_same_nets_are_drawn_again(bench: ModuleType) -> None:
    space = load("mobilenet", Task(((32, 32, 3), (64, 64, 3)), 10))
    first, again = (list(bench.random_nets(space, 5)) for _ in range(2))
    assert first == again
    assert len(set(first)) == 5
    assert all(spec.parameters <= bench.MOST_WEIGHTS for spec in first)


def test_rows_survive_a_kill(bench: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    assert bench.rows(path) == []
    for k in range(3):
        bench.keep(path, {"net": k})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"net": 3, "comp')
    assert bench.rows(path) == [{"net": 0}, {"net": 1}, {"net": 2}]


def test_nets_are_compared_at_equal_work(bench: ModuleType) -> None:
    right = np.ones(4, bool)
    front = [net(bench, 0.95, 120, right), net(bench, 0.9, 90, right), net(bench, 0.8, 50, right)]
    fast, slow, least = net(bench, 0.92, 100, right), net(bench, 0.7, 60, right), net(bench, 0.92, 40, right)
    assert bench._at_equal_work(front, [fast, slow]) == (front[1], fast)
    assert bench._at_equal_work(front, [least, slow]) == (front[2], slow)
    assert bench._at_equal_work(front, [least]) is None
    assert bench._at_equal_work(front, []) is None


def test_an_interval_is_over_groups(bench: ModuleType) -> None:
    """Many samples of one group are one observation: the interval of 4 groups is wide, that of 400 narrow."""
    rng = np.random.default_rng(0)
    for groups, wide in ((4, True), (400, False)):
        member = np.repeat(np.arange(groups), 400 // groups)
        better = np.repeat(rng.random(groups) < 0.5, 400 // groups)
        pair = (net(bench, 0.9, 1, better), net(bench, 0.8, 1, np.zeros(400, bool)))
        gain, low, high = bench._paired([pair], member)
        assert gain == pytest.approx(better.mean())
        assert low <= gain <= high
        assert (high - low > 0.2) == wide


def test_an_interval_is_over_seeds(bench: ModuleType) -> None:
    """No difference in one seed and a whole one in the other: either could be drawn twice."""
    right = np.ones(400, bool)
    good, bad = net(bench, 0.9, 1, right), net(bench, 0.8, 1, ~right)
    gain, low, high = bench._paired([(good, bad), (good, good)], np.arange(400))
    assert (gain, low, high) == pytest.approx((0.5, 0.0, 1.0))


def test_what_searches_found_is_kept_and_reported(bench: ModuleType, tmp_path: Path,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    count = len(load_data("digits").open_test("test"))
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
