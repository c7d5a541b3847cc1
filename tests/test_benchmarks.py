"""The benchmark prints the recorded engines with ratti's rows beside them."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "engines.py"


@pytest.mark.slow
@pytest.mark.toolchain
def test_engines(shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--models", str(shared / "models")])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    ours = [row for row in rows if "**ratti**" in row]
    assert [row[:2] for row in ours] == [
        [model, core] for model in ("kws", "ic") for core in ("Cortex-M4", "Cortex-M0+", "RV32IMC", "RV32EC")
    ]
    others = [row for row in rows if "TFLM + CMSIS-NN" in row]
    assert len(others) == 2
    assert all(float(row[5].rstrip("x")) > 1 for row in others)  # they take more instructions than ratti
    assert any(row[0].startswith("ratti, priced") and "…" in row[1] for row in rows)
