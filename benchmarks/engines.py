"""ratti beside its goals and other engines: `python benchmarks/engines.py` prints the tables of docs/engines.md.

The other engines' figures and the goals are recorded (engines.toml); ratti's are compiled and emulated in this run.
With `--write FILE` the tables replace those between the marks `<!-- tables -->` and `<!-- end -->` of a document.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ratti import models, targets
from ratti.deploy import prepare
from ratti.device import cores
from ratti.verbs.check import CheckResult, Limits, check

HERE = Path(__file__).parent
CORES = {
    "Cortex-M4": "stm32l4r5zi", "Cortex-M0+": "stm32g0b1", "Cortex-M55": "mps3-an547", "RV32IMC": "esp32c3",
    "RV32EC": "ch32v003",
}
MODELS = ("kws", "ic")
LEAST_RAM = {"kws": 6.5, "ic": 24.0}  # KB: the planner is asked for the cheapest plan that fits, or its least
MARKS = ("<!-- tables -->", "<!-- end -->")
KB = 1024


class Figures:
    """ratti's figures for the models in `folder`, each check made once. Methods are the measures of engines.toml."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.result = cache(self._result)

    def _result(self, model: str, core: str, optimize: str = "speed", max_ram_kb: float | None = None) -> CheckResult:
        limits = Limits(ram_bytes=None if max_ram_kb is None else int(max_ram_kb * KB))
        return check(self._folder / f"{model}.tflite", CORES[core], limits, optimize)

    def m_instructions(self, model: str, core: str) -> float:
        return self._instructions(model, core) / 1e6

    def per_mac(self, model: str, core: str) -> float:
        return self._instructions(model, core) / self.result(model, core).macs

    def depthwise_cycles_per_mac(self, model: str, core: str) -> float:
        layers = [y for y in self.result(model, core).layers if y.op == "depthwise_conv2d"]
        return sum(y.cycles or 0 for y in layers) / sum(y.macs for y in layers)

    def cycles_per_instruction(self, model: str, core: str) -> float:
        return (self.result(model, core).cycles or 0) / self._instructions(model, core)

    def ram_kb(self, model: str, core: str) -> float:
        return self.result(model, core).ram["total"] / KB

    def streamed_ram_kb(self, model: str, core: str) -> float:
        return self.result(model, core, max_ram_kb=LEAST_RAM[model]).ram["total"] / KB

    def streamed_percent(self, model: str, core: str) -> float:
        least = self.result(model, core, max_ram_kb=LEAST_RAM[model]).instructions or 0
        return 100 * (least / self._instructions(model, core) - 1)

    def code_kb(self, model: str, core: str) -> float:
        return self._code(model, core, "speed")

    def small_code_kb(self, model: str, core: str) -> float:
        return self._code(model, core, "size")

    def parameter_bytes(self, model: str, core: str) -> float:
        used, channels = self._parameters(model, core)
        return used / channels

    def _instructions(self, model: str, core: str) -> int:
        return self.result(model, core).instructions or 0

    def _code(self, model: str, core: str, optimize: str) -> float:
        flash = self.result(model, core, optimize).flash
        return (flash["code"] - flash["parameters"] - flash["transformed"]) / KB

    def transformed_kb(self, model: str, core: str) -> float:
        return self.result(model, core).flash["transformed"] / KB

    def _parameters(self, model: str, core: str) -> tuple[int, int]:
        """Bytes of constants per output channel besides its bias, and output channels, of all layers with weights."""
        plan = prepare(models.load(self._folder / f"{model}.tflite"), targets.load(CORES[core]).isa).plan
        tables = [t for s in plan.steps for t in s.call.tables if t.role == "channels"]
        return sum(4 * (t.data.size - len(t.data)) for t in tables), sum(len(t.data) for t in tables)


def tables(figures: Figures, wanted: Sequence[str] = MODELS) -> list[str]:
    """All lines of all tables, for the models `wanted`."""
    recorded = tomllib.loads((HERE / "engines.toml").read_text(encoding="utf-8"))
    lines: list[str] = []
    for table in ("speed", "memory"):
        goals = [g for g in recorded["goal"] if g["table"] == table and g["model"] in wanted]
        lines += [
            f"| {table} | best open | closed leaders | goal | moonshot | **ratti** | open / ratti | ratti / goal |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
            *(_goal(g, getattr(figures, g["measure"])(g["model"], g["core"])) for g in goals), "",
        ]
    lines += [
        "| model | core | engine | M instructions | instr/MAC | against ratti | RAM, B | flash, KiB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *_engines(figures, recorded["engine"], wanted), "",
    ]
    if set(MODELS) <= set(wanted):
        lines += [
            "| on the L4R5ZI board at 120 MHz | KWS, ms | IC, ms |", "| --- | --- | --- |",
            *(f"| {b['name']}, measured | {b['kws_ms']} | {b['ic_ms']} |" for b in recorded["board"]),
            "| ratti, priced: no wait states … the part's own | "
            + " | ".join(_span(figures.result(m, "Cortex-M4")) for m in MODELS) + " |",
        ]
    return lines


def _goal(goal: dict[str, Any], ours: float) -> str:
    known = [f"{goal[k]:g}" if k in goal else "" for k in ("open", "closed", "goal", "moonshot")]
    faster = f"{goal['open'] / ours:.2f}x" if "open" in goal else ""
    share = f"{ours / goal['goal']:.2f}" if "goal" in goal else ""
    return f"| {goal['name']} | {' | '.join(known)} | **{ours:.2f}** | {faster} | {share} |"


def _engines(figures: Figures, engines: Iterable[dict[str, Any]], wanted: Sequence[str]) -> Iterable[str]:
    for model in wanted:
        for core, target in CORES.items():
            obstacle = cores.load(targets.load(target).core).obstacle
            if obstacle:
                yield f"| {model} | {core} | **ratti** | {obstacle} |  |  |  |  |"
                continue
            result = figures.result(model, core)
            for engine in engines:
                if (engine["model"], engine["core"]) == (model, core):
                    yield _recorded(engine, result)
            yield _ratti(model, core, result)


def _recorded(engine: dict[str, Any], result: CheckResult) -> str:
    instructions = engine["instructions"]
    faster = f"{instructions / (result.instructions or 1):.2f}x"
    memory = f"{engine['ram_bytes']:,} | {engine.get('flash_kib', '')}"
    return (
        f"| {engine['model']} | {engine['core']} | {engine['name']} | {instructions / 1e6:.2f} "
        f"| {instructions / result.macs:.2f} | {faster} | {memory} |"
    )


def _ratti(model: str, core: str, result: CheckResult) -> str:
    memory = f"{result.ram['total']:,} | {result.flash['total'] / KB:.0f}"
    instructions = result.instructions or 0
    return (
        f"| {model} | {core} | **ratti** | **{instructions / 1e6:.2f}** "
        f"| **{instructions / result.macs:.2f}** | 1 | {memory} |"
    )


def _span(result: CheckResult) -> str:
    if result.latency_range_ms is None:
        return "no source"
    low, high = result.latency_range_ms
    return f"{low:.1f} or more" if high is None else f"{low:.1f} … {high:.1f}"


def replaced(document: str, lines: Sequence[str]) -> str:
    """`document` with `lines` between its marks."""
    before, rest = document.split(MARKS[0] + "\n")
    return before + "\n".join([MARKS[0], "", *lines, "", MARKS[1]]) + rest.split(MARKS[1])[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = HERE.parent.parent / "shared" / "models"
    parser.add_argument("--models", type=Path, default=beside, help="has kws.tflite and ic.tflite")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this document")
    arguments = parser.parse_args()
    lines = tables(Figures(arguments.models))
    print("\n".join(lines))
    if arguments.write:
        text = arguments.write.read_text(encoding="utf-8")
        arguments.write.write_text(replaced(text, lines), encoding="utf-8")


if __name__ == "__main__":
    main()
