"""The compression study's tables: paired differences, bounds, and what has no figure yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="module")
def tables(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("compression_tables")


@pytest.fixture(scope="module")
def results(benchmark: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark("compression_results")


@pytest.fixture
def chain(results: ModuleType) -> Callable[..., Any]:
    def made(right: dict[str, np.ndarray], data: str = "leaves", fold: str = "", seed: int = 0) -> Any:
        steps = tuple(results.Result(s, 0.5, 1.0, 400, f"{s.replace(' ', '-')}.tflite") for s in right)
        labels = np.zeros(len(next(iter(right.values()))), np.uint8)
        return results.Chain(data, fold, "a-net", seed, False, "today", steps, labels, right)
    return made


def test_what_a_chain_found_is_kept(results: ModuleType, chain: Callable[..., Any], tmp_path: Path) -> None:
    right = np.random.default_rng(0).random(77) < 0.8
    one = chain({"float": right, "ptq": ~right}, "spoken", "theo", 2)
    path = tmp_path / "spoken-theo" / "a-net" / "2.json"
    results.write(path, one)
    assert list(results.paths(tmp_path)) == [path]
    back = results.read(path)
    assert back.steps == one.steps and (back.data, back.fold, back.seed) == ("spoken", "theo", 2)
    np.testing.assert_array_equal(back.right["ptq"], ~right)
    np.testing.assert_array_equal(back.labels, one.labels)


def test_a_difference_is_paired(tables: ModuleType, chain: Callable[..., Any]) -> None:
    """Both steps are wrong on the same hard samples: the interval knows only what differs."""
    hard = np.arange(400) % 4 == 0
    worse = ~hard
    worse[1] = False
    mean, low, high = tables.paired([chain({"float": ~hard, "ptq": worse})], "float", "ptq")
    assert mean == pytest.approx(-0.25)
    assert -1.0 <= low <= mean <= high <= 0.0


@pytest.mark.parametrize(("found", "least", "said"), [
    ((-0.3, -0.6, 0.0), -0.5, "yes"),
    ((-0.7, -1.2, -0.4), -0.5, "within the interval"),
    ((-0.9, -1.2, -0.6), -0.5, "no"),
])
def test_a_bound_holds(tables: ModuleType, found: tuple[float, float, float], least: float, said: str) -> None:
    assert tables._holds(found, least) == said


def test_every_section_prints_before_devices_are_measured(
        tables: ModuleType, results: ModuleType, chain: Callable[..., Any], tmp_path: Path) -> None:
    right = np.arange(50) % 5 > 0
    compressed = ("float", "ptq", "qat", "pruned", "pruned qat", "sparse ptq")
    kept = tmp_path / "results"
    results.write(kept / "a.json", chain(dict.fromkeys(compressed, right)))
    results.write(kept / "b.json", chain(dict.fromkeys(("teacher", "best", "best int8", "alone", "taught"), right)))
    document = tmp_path / "page.md"
    document.write_text("# Before\n<!-- tables -->\nold\n<!-- end -->\nafter\n")
    tables.show(kept, document)
    text = document.read_text()
    assert text.startswith("# Before\n") and text.endswith("<!-- end -->\nafter\n") and "old" not in text
    assert text.count("\n## ") == len(tables.SECTIONS)
    assert "not measured" in text and "80.0" in text


def test_figures_of_devices_are_means_of_what_was_measured(tables: ModuleType, chain: Callable[..., Any]) -> None:
    right = dict.fromkeys(("ptq", "sparse ptq"), np.ones(20, bool))
    chains = [chain(right, seed=seed) for seed in range(3)]  # seed 0 is not measured
    for seed, flash in ((1, 1000), (2, 3000)):
        for step, less in (("ptq", 0), ("sparse-ptq", 100 * seed)):
            chains[seed].figures[f"{step}.tflite"] = {tables.devices.TARGETS[0]: {"flash": flash - less}}
    (row,) = (line for line in tables.sparsity(chains) if line.startswith("| leaves"))
    assert row.endswith("| 150 of 2,000 | not measured |")


def test_known_speakers_stand_apart(tables: ModuleType, chain: Callable[..., Any]) -> None:
    right = {s: np.ones(20, bool) for s in ("teacher", "best", "best int8", "alone", "taught")}
    found = tables.best([chain(right, "spoken"), chain(right, "spoken", "theo")])
    rows = [line for line in found if line.startswith("| spoken")]
    assert len(rows) == 2 and "≥ 98" in rows[0] and "≥ 85" in rows[1]
