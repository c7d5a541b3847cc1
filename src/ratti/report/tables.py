"""Results as tables on a terminal."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from .. import targets
from ..types import How

if TYPE_CHECKING:
    from ..verbs.build import BuildResult
    from ..verbs.check import CheckResult
    from ..verbs.verify import VerifyResult

WIDTH = 118
BAR = 24
LAYERS_SHOWN = 60


def check(result: CheckResult) -> str:
    """The verdict, the figures, the layers, and what would bring them down."""
    target = targets.load(result.target)
    ok = result.fits
    verdict = Text.assemble(
        (" FITS " if ok else " DOES NOT FIT ", "bold white on green" if ok else "bold white on red"),
        f"  {result.model} on {target.name} ({core_name(target.core)}, {target.clock_hz / 1e6:g} MHz)",
    )
    parts: list[RenderableType] = [Text(), verdict]
    parts += [Text(f"  ✗ {reason}", style="red") for reason in result.reasons]
    parts += [Text(), _figures(result), Text(), _layers(result)]
    for name, reason in sorted(_merged(result).items()):
        parts.append(Text(f"{name}: none, {reason}", style="dim"))
    if _unverified(result):
        parts.append(Text(_unverified(result), style="dim"))
    parts.append(Text())
    advice = Table.grid(padding=(0, 1))
    for line in result.advice:
        advice.add_row("→", line)
    parts.append(advice)
    return render(*parts)


def verify(result: VerifyResult) -> str:
    """One row an engine."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("where")
    for name in ("elements", "differ", "max LSB"):
        table.add_column(name, justify="right")
    for row in result.rows:
        style = "red" if row.differ else ""
        where = f"{row.where} ({row.skipped})" if row.skipped else row.where
        table.add_row(where, f"{row.elements:,}", f"{row.differ:,}", str(row.max_lsb), style=style)
    verdict = Text.assemble(
        (" EQUAL " if result.passes else " DIFFERENT ", f"bold white on {'green' if result.passes else 'red'}"),
        f"  {result.model}: {result.inputs} inputs, {result.distinct} different outputs",
    )
    if result.distinct < 2:
        verdict.append("  the outputs are constant, so this proves nothing", style="red")
    return render(Text(), verdict, table)


def _figures(result: CheckResult) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for _ in range(4):
        table.add_column()
    ram, flash = result.ram, result.flash
    table.add_row(
        "RAM",
        _bar(ram["total"], ram["limit"]),
        _share(ram["total"], ram["limit"]),
        f"activations {ram['activations']:,} (bound {ram['lower_bound']:,}) + scratch {ram['scratch']:,} + "
        f"stack {ram['stack']:,}" + (f" + static {ram['static']:,}" if ram["static"] else "") + f" B, {_how(result, 'ram')}",
    )
    table.add_row(
        "flash",
        _bar(flash["total"], flash["limit"]),
        _share(flash["total"], flash["limit"]),
        f"weights {flash['weights']:,} + code {flash['code']:,} B, {_how(result, 'flash')}",
    )
    per_mac = f"{result.instructions / result.macs:.2f} per MAC, " if result.macs else ""
    table.add_row(
        "work", "", f"{result.instructions:,} instructions",
        f"{per_mac}{_how(result, 'instructions')}; {result.macs:,} MACs",
    )
    if result.cycles_range:
        low, high = result.cycles_range
        table.add_row(
            "cycles", "", f"{_span(low / 1e6, high and high / 1e6)} M",
            f"{_how(result, 'cycles')}: no wait states … the part's own" if high else _how(result, "cycles"),
        )
    if result.latency_range_ms:
        low_ms, high_ms = result.latency_range_ms
        table.add_row("time", "", f"{_span(low_ms, high_ms)} ms", _how(result, "latency"))
    if result.energy_uj is not None:
        table.add_row("energy", "", f"{figure(result.energy_uj)} µJ", _how(result, "energy"))
    return table


def _layers(result: CheckResult) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("layer", "kernel", "output"):
        table.add_column(name, overflow="fold")
    for name in ("MACs", "instructions", "per MAC", "share", "RAM B", "weights B"):
        table.add_column(name, justify="right")
    peak = max(layer.ram for layer in result.layers)
    for layer in result.layers[:LAYERS_SHOWN]:
        share = layer.instructions / max(result.instructions, 1)
        table.add_row(
            layer.name,
            layer.kernel,
            layer.shape,
            f"{layer.macs:,}" if layer.macs else "",
            f"{layer.instructions:,}",
            f"{layer.instructions / layer.macs:.2f}" if layer.macs else "",
            f"{share:.1%}",
            Text(f"{layer.ram:,}" + (" ◄" if layer.ram == peak else "  "), style="bold" if layer.ram == peak else ""),
            f"{layer.weights:,}" if layer.weights else "",
        )
    if len(result.layers) > LAYERS_SHOWN:
        table.caption = f"… and {len(result.layers) - LAYERS_SHOWN} more layers (all with --json)"
    return table


def _merged(result: CheckResult) -> dict[str, str]:
    """Absent figures; those that only follow from another one are left out."""
    absent = {k: v for k, v in result.absent.items() if result.how.get(k) == How.ABSENT.value}
    if absent.get("latency") == absent.get("cycles"):
        absent.pop("latency", None)
    return absent


def _unverified(result: CheckResult) -> str:
    target = targets.load(result.target)
    names = [n for n in targets.numbers(target) if target.source(n) == targets.UNVERIFIED]
    return f"unverified figures of this target: {', '.join(names)} (ratti targets {target.id})" if names else ""


def _bar(value: float, limit: float) -> Text:
    full = min(round(BAR * value / limit), BAR)
    style = "red" if value > limit else "yellow" if value > 0.8 * limit else "green"
    return Text("━" * full, style=style).append("─" * (BAR - full), style="dim")


def _share(value: int, limit: int) -> str:
    share = value / limit
    percent = f"{share:.0%}" if share < 10 else f"{share:,.0f} times"
    return f"{value:,} of {limit:,} B ({percent})"


def figure(value: float) -> str:
    """Three significant digits, without an exponent."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def _span(low: float, high: float | None) -> str:
    if high is None:
        return f"{figure(low)} or more"
    return figure(low) if figure(low) == figure(high) else f"{figure(low)} … {figure(high)}"


def _how(result: CheckResult, figure: str) -> str:
    return result.how[figure]


def core_name(core: str) -> str:
    """A core as its vendor writes it."""
    names = {"cortex_m0plus": "Cortex-M0+", "cortex_m4f": "Cortex-M4F", "cortex_m7": "Cortex-M7", "cortex_m33": "Cortex-M33"}
    return names.get(core, core)


def render(*parts: RenderableType) -> str:
    """`parts` as text, with color where standard output is a terminal."""
    buffer = io.StringIO()
    console = Console(file=buffer, width=WIDTH, force_terminal=_color(), highlight=False)
    for part in parts:
        console.print(part)
    return buffer.getvalue().rstrip("\n")


def _color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def build(result: BuildResult) -> str:
    """One row a device, then where the bundles are and what to do next."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("device", "net"):
        table.add_column(name, overflow="fold")
    for name in ("float", "int8", "on device", "RAM B", "flash B", "instructions", "ms", "fits"):
        table.add_column(name, justify="right")
    for model in result.models:
        for checked, on_device in zip(model.checks, model.device, strict=True):
            table.add_row(
                checked.target,
                model.net,
                f"{model.accuracy_float:.1%}",
                f"{model.accuracy_int8:.1%}",
                f"{on_device.accuracy:.1%} of {on_device.samples}",
                f"{checked.ram['total']:,}",
                f"{checked.flash['total']:,}",
                f"{checked.instructions:,}",
                _span(*checked.latency_range_ms) if checked.latency_range_ms else "no source",
                Text("yes", style="green") if checked.fits else Text("NO", style="bold red"),
            )
    reasons = [Text(f"✗ {c.target}: {r}", style="red") for m in result.models for c in m.checks for r in c.reasons]
    where = [Text(f"bundle: {m.bundle}") for m in result.models]
    first = result.models[0]
    target = first.checks[0].target
    steps = [
        "next:",
        f"  read       {first.bundle}/model_card.md",
        f"  look       ratti check {first.bundle} --target {target}",
        f"  prove      ratti verify {first.bundle} --targets {','.join(c.target for c in first.checks)}",
        f"  compile    {first.bundle}/c/{targets.load(target).isa}/{result.name}.c into your firmware: "
        f"write the input, call {result.name}_run(arena), read the output",
    ]
    title = Text(f"{result.name}: accuracy on {result.data['test']:,} test samples, figures from the emulated devices")
    return render(Text(), title, table, *reasons, *where, Text(), *map(Text, steps))
