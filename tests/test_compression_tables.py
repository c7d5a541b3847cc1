"""The compression study's tables: paired differences, bounds, and what has no figure yet."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def tables() -> SimpleNamespace:
    sys.path.insert(0, str(FOLDER))
    try:
        return SimpleNamespace(**runpy.run_path(str(FOLDER / "compression_tables.py")))
    finally:
        sys.path.remove(str(FOLDER))


def chain(folder: Path, right: dict[str, np.ndarray], data: str = "leaves", fold: str = "", seed: int = 0) -> None:
    folder.mkdir(parents=True)
    steps = [{"step": s, "val": 0.5, "seconds": 1.0, "bytes": 400, "file": f"{s.replace(' ', '-')}.tflite"}
             for s in right]
    table = {"data": data, "fold": fold, "net": "a-net", "seed": seed, "balanced": False, "steps": steps}
    (folder / "chain.json").write_text(json.dumps(table))
    np.savez(folder / "test.npz", labels=np.zeros(len(next(iter(right.values()))), int), **right)  # type: ignore[arg-type]


def test_a_difference_is_paired(tables: SimpleNamespace, tmp_path: Path) -> None:
    """Both steps are wrong on the same hard samples: the interval knows only what differs."""
    hard = np.arange(400) % 4 == 0
    worse = ~hard
    worse[1] = False
    chain(tmp_path / "0", {"float": ~hard, "ptq": worse})
    (tested,) = tables.read(tmp_path)
    mean, low, high = tables.paired([tested], "float", "ptq")
    assert mean == pytest.approx(-0.25)
    assert -1.0 <= low <= mean <= high <= 0.0


@pytest.mark.parametrize(("found", "least", "said"), [
    ((-0.3, -0.6, 0.0), -0.5, "yes"),
    ((-0.7, -1.2, -0.4), -0.5, "within the interval"),
    ((-0.9, -1.2, -0.6), -0.5, "no"),
])
def test_a_bound_holds(tables: SimpleNamespace, found: tuple[float, float, float], least: float, said: str) -> None:
    assert tables._holds(found, least) == said


def test_every_section_prints_before_devices_are_measured(tables: SimpleNamespace, tmp_path: Path) -> None:
    right = np.arange(50) % 5 > 0
    chain(tmp_path / "a", dict.fromkeys(("float", "ptq", "qat", "pruned", "pruned qat", "sparse ptq"), right))
    chain(tmp_path / "b", dict.fromkeys(("teacher", "teacher qat", "alone", "taught"), right))
    document = tmp_path / "page.md"
    document.write_text("# Before\n<!-- tables -->\nold\n<!-- end -->\nafter\n")
    tables.show(tmp_path, document)
    text = document.read_text()
    assert text.startswith("# Before\n") and text.endswith("<!-- end -->\nafter\n") and "old" not in text
    assert text.count("\n## ") == len(tables.SECTIONS)
    assert "not measured" in text and "80.0" in text


def test_known_speakers_stand_apart(tables: SimpleNamespace, tmp_path: Path) -> None:
    right = {s: np.ones(20, bool) for s in ("teacher", "teacher qat", "alone", "taught")}
    chain(tmp_path / "seen", right, "spoken")
    chain(tmp_path / "theo", right, "spoken", "theo")
    rows = [line for line in tables.best(tables.read(tmp_path)) if line.startswith("| spoken")]
    assert len(rows) == 2 and "≥ 98" in rows[0] and "≥ 85" in rows[1]
