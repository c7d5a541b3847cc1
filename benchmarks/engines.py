"""ratti beside other engines: `python benchmarks/engines.py --models DIR` prints the table of docs/engines.md.

The other engines' figures are recorded (engines.toml); ratti's rows are compiled and emulated in this run.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from ratti.verbs.check import CheckResult, check

HERE = Path(__file__).parent
CORES = {"Cortex-M4": "stm32l4r5zi", "Cortex-M0+": "stm32g0b1", "RV32IMC": "esp32c3", "RV32EC": "ch32v003"}
BOARD = "stm32l4r5zi"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = HERE.parent.parent / "shared" / "models"
    parser.add_argument("--models", type=Path, default=beside, help="has kws.tflite and ic.tflite")
    models = parser.parse_args().models
    recorded = tomllib.loads((HERE / "engines.toml").read_text(encoding="utf-8"))
    results = {
        (m, core): check(models / f"{m}.tflite", target) for m in ("kws", "ic") for core, target in CORES.items()
    }
    print("| model | core | engine | M instructions | instr/MAC | against ratti | RAM, B | flash, KiB |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for (model, core), result in results.items():
        for engine in recorded["engine"]:
            if (engine["model"], engine["core"]) == (model, core):
                print(_recorded(engine, result))
        print(_ratti(model, core, result))
    print()
    print("| on the L4R5ZI board at 120 MHz | KWS, ms | IC, ms |")
    print("| --- | --- | --- |")
    for board in recorded["board"]:
        print(f"| {board['name']}, measured | {board['kws_ms']} | {board['ic_ms']} |")
    spans = [_span(results[m, "Cortex-M4"]) for m in ("kws", "ic")]
    print(f"| ratti, priced: no wait states … the part's own | {spans[0]} | {spans[1]} |")


def _recorded(engine: dict[str, Any], result: CheckResult) -> str:
    instructions = engine["instructions"]
    faster = f"{instructions / result.instructions:.2f}x"
    memory = f"{engine['ram_bytes']:,} | {engine.get('flash_kib', '')}"
    return (
        f"| {engine['model']} | {engine['core']} | {engine['name']} | {instructions / 1e6:.2f} "
        f"| {instructions / result.macs:.2f} | {faster} | {memory} |"
    )


def _ratti(model: str, core: str, result: CheckResult) -> str:
    memory = f"{result.ram['total']:,} | {result.flash['total'] / 1024:.0f}"
    return (
        f"| {model} | {core} | **ratti** | **{result.instructions / 1e6:.2f}** "
        f"| **{result.instructions / result.macs:.2f}** | 1 | {memory} |"
    )


def _span(result: CheckResult) -> str:
    if result.latency_range_ms is None:
        return "no source"
    low, high = result.latency_range_ms
    return f"{low:.1f} or more" if high is None else f"{low:.1f} … {high:.1f}"


if __name__ == "__main__":
    main()
