"""Figures of the compression study's int8 models on emulated devices (see `compression.py`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compression_results as results

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


def measure(out: Path, kept: Path, again: bool) -> None:
    """Compiles and runs every int8 file under `out` that has no figures yet (`again`: every one that is there)."""
    chains = results.paths(kept)
    for k, path in enumerate(chains, 1):
        chain = results.read(path)
        for file in sorted((out / path.relative_to(kept).with_suffix("")).glob("*.tflite")):
            if again or file.name not in chain.figures:
                chain = dataclasses.replace(chain, figures={**chain.figures, file.name: _figures(file)})
                results.write(path, chain)
        print(f"{k}/{len(chains)} {path}", flush=True)


def _figures(file: Path) -> dict[str, Any]:
    """By target: instructions, ram, flash, ms."""
    from ratti.verbs.check import Limits, check

    best = file.name == "best-int8.tflite"
    limits = Limits(RAM, FLASH) if best else Limits()
    found: dict[str, Any] = {}
    for target in TARGETS[: 1 if best else None]:
        checked = check(file, target, limits)
        found[target] = {"instructions": checked.instructions, "ram": checked.ram["total"],
                         "flash": checked.flash["total"], "fits": checked.fits, "ms": checked.latency_range_ms}
    return found
