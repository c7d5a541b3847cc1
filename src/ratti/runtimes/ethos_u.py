"""Arm's Ethos-U NPUs: the int8 file compiled by Vela, which also estimates its cycles. Nothing here runs it.

Vela needs packages of other versions than ratti's, so it lives in an environment of its own:
`python -m venv vela && vela/bin/pip install ethos-u-vela==5.2.0`, then `RATTI_VELA=vela/bin/vela`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..errors import MissingDependencyError, UnsupportedError
from ..graph.ir import Graph
from ..types import How
from . import Files, Runner, litert

VARIANTS: tuple[str, ...] = ()
DEFAULT = "ethos-u55-128"
ACCELERATORS = ("ethos-u55-32", "ethos-u55-64", DEFAULT, "ethos-u55-256", "ethos-u65-256", "ethos-u85-256")
KINDS = {"ethos-u": DEFAULT, **{f"ethos-u:{a.removeprefix('ethos-')}": a for a in ACCELERATORS}}
EXACT = False
ROUNDING = "the NPU's own; not run here"
VARIABLE = "RATTI_VELA"
INSTALL = f"python -m venv vela && vela/bin/pip install ethos-u-vela==5.2.0, then set {VARIABLE}=vela/bin/vela"
# Vela's columns and ours; it gives memories in KiB, times in seconds.
FIGURES = {
    "cycles_total": ("cycles", 1),
    "sram_memory_used": ("sram_bytes", 1024),
    "off_chip_flash_memory_used": ("flash_bytes", 1024),
    "inference_time": ("latency_ms", 1000),
}


def available(variant: str = "") -> bool:
    return _vela() is not None


def supports(graph: Graph, variant: str = DEFAULT) -> str:
    return "" if graph.is_quantized else "it takes int8 models, not float ones"


def export(graph: Graph, variant: str = DEFAULT) -> Files:
    """The command stream as `.tflite`, and Vela's figures, all estimates. UnsupportedError where Vela refuses."""
    vela = _vela()
    if vela is None:
        raise MissingDependencyError("ethos-u-vela", "", "compiling for Ethos-U", INSTALL)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model.tflite").write_bytes(next(iter(litert.export(graph).values())))
        command = [vela, "model.tflite", "--accelerator-config", variant, "--output-dir", "."]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        compiled = folder / "model_vela.tflite"
        if result.returncode or not compiled.is_file():
            reason = (result.stderr or result.stdout).strip().splitlines()[-1:] or ["no reason given"]
            raise UnsupportedError(f"Vela refuses model '{graph.name}' for {variant}: {reason[0]}")
        (summary,) = folder.glob("*_summary_*.csv")
        figures = _figures(summary.read_text(encoding="utf-8"), variant, result.stdout)
        return {f"_{variant}.tflite": compiled.read_bytes(), f"_{variant}.json": figures.encode()}


def run(graph: Graph, files: Files, variant: str = DEFAULT, threads: int = 1) -> Runner:
    raise UnsupportedError(f"{variant} is not run here: ratti has no such NPU, and Vela only estimates")


def _figures(summary: str, variant: str, printed: str) -> str:
    """Vela's summary as JSON: figures, what they are, the part that they are for, operators left to the CPU."""
    row = next(csv.DictReader(io.StringIO(summary)))
    figures = {name: round(float(row[column]) * unit, 4) for column, (name, unit) in FIGURES.items()}
    on_cpu = re.search(r"CPU operators = (\d+)", printed)
    said = {
        "accelerator": variant,
        "how": How.ESTIMATED.value,
        "by": "Vela",
        "clock_hz": float(row["core_clock"]),
        "system_config": row["system_config"],
        "memory_mode": row["memory_mode"],
        "cpu_operators": int(on_cpu[1]) if on_cpu else None,
        **figures,
    }
    return json.dumps(said, indent=2) + "\n"


def _vela() -> str | None:
    """The command: RATTI_VELA, or `vela` on the path."""
    return shutil.which(os.environ.get(VARIABLE) or "vela")
