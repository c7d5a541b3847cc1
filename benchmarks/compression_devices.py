"""Figures of the compression study's int8 models on emulated devices (see `compression.py`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

TARGETS = ("stm32f446re", "esp32c3")  # a Cortex-M4, an RV32IMC
RAM, FLASH = 64 << 10, 256 << 10  # the limits of the best nets


def instructions(out: Path) -> Callable[[Any], float]:
    """Instructions of a spec's int8 firmware on the first target, composed of its layers, each measured once."""
    from ratti import targets
    from ratti.meter import LayerMeter
    from ratti.search.cost import CostModel

    target = targets.load(TARGETS[0])
    model = CostModel(target, LayerMeter(target, watched=False), out / "layers.sqlite")
    return lambda spec: float(model(spec).instructions)


def measure(out: Path) -> None:
    """Compiles and runs every int8 file under `out` that has no figures yet; they lie beside the chain."""
    chains = sorted(out.glob("**/chain.json"))
    for k, path in enumerate(chains, 1):
        figures = known(path)
        for file in sorted(path.parent.glob("*.tflite")):
            if file.name not in figures:
                figures[file.name] = _figures(file)
                keep(_beside(path), figures)
        print(f"{k}/{len(chains)} {path.parent}", flush=True)


def known(chain: Path) -> dict[str, Any]:
    """By file and target: instructions, ram, flash, ms; and how many bytes its weights take with the zeros left out."""
    path = _beside(chain)
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def keep(path: Path, content: Any) -> None:
    """Writes JSON, whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, indent=1))
    part.replace(path)


def _figures(file: Path) -> dict[str, Any]:
    from ratti.verbs.check import Limits, check

    best = file.name == "teacher-qat.tflite"
    limits = Limits(RAM, FLASH) if best else Limits()
    found: dict[str, Any] = {}
    for target in TARGETS[: 1 if best else None]:
        checked = check(file, target, limits)
        found[target] = {"instructions": checked.instructions, "ram": checked.ram["total"],
                         "flash": checked.flash["total"], "fits": checked.fits, "ms": checked.latency_range_ms}
    return found


def _beside(chain: Path) -> Path:
    return chain.with_name("devices.json")
