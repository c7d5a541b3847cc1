"""Results as tables on a terminal."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from .. import targets
from ..device import cores
from ..types import KIB, How

if TYPE_CHECKING:
    from ..graph.passes import Saving
    from ..verbs._built import BuildResult
    from ..verbs._front_end import FrontEndFigures
    from ..verbs.bench import BenchResult, BenchRow, Timing
    from ..verbs.check import CheckResult, Sum
    from ..verbs.verify import VerifyResult

PLAIN_WIDTH = 118  # where standard output is no terminal
LEAST_WIDTH, MOST_WIDTH = 60, 120
UNLIMITED = 1000
BAR = 24
LAYERS_SHOWN = 60


def check(result: CheckResult) -> str:
    """The verdict, the figures, the layers, and what would bring them down."""
    target = targets.load(result.target)
    ok = result.fits
    verdict = Text.assemble(
        (" FITS " if ok else " DOES NOT FIT ", "bold white on green" if ok else "bold white on red"),
        f"  {label(result.model)} on {target.name} ({core_name(target.core)}, {target.clock_hz / 1e6:g} MHz)",
    )
    parts: list[RenderableType] = [verdict]
    if result.assumed:
        parts.append(Text(f"  {result.assumed}", style="yellow"))
    parts += [Text(f"  ✗ {reason}", style="red") for reason in result.reasons]
    parts += [Text(), _figures(result), _layers(result)]
    if len(result.layers) > LAYERS_SHOWN:
        parts.append(Text(f"… and {len(result.layers) - LAYERS_SHOWN} more layers (all with --json)", style="dim"))
    for name, reason in sorted(_merged(result).items()):
        parts.append(Text(f"{name}: none, {reason}", style="dim"))
    if _unverified(result):
        parts.append(Text(_unverified(result), style="dim"))
    if len(result.tradeoff) > 1:
        parts += [Text("\nRAM for instructions:"), _tradeoff(result)]
    parts.append(Text())
    advice = Table.grid(padding=(0, 1))
    for line in result.advice:
        advice.add_row("→", line)
    parts.append(advice)
    return render(*parts)


def verify(result: VerifyResult) -> str:
    """One row an engine."""
    rows: list[list[Text]] = []
    for row in result.rows:
        where = f"{row.where} ({row.skipped})" if row.skipped else row.where
        alone = "exact" if row.exact else "" if row.operator_lsb is None else f"≤ {row.operator_lsb}"
        percent = "" if row.accuracy is None else f"{row.accuracy:.1f}%"
        cells = (where, f"{row.elements:,}", f"{row.differ:,}", str(row.max_lsb), alone, percent)
        rows.append([Text(cell, style="" if row.passes else "red") for cell in cells])
    names = ("where", "elements", "differ", "max LSB", "operator LSB", "accuracy")
    columns: dict[str, JustifyMethod] = {n: "left" if n == "where" else "right" for n in names}
    exact = all(row.exact for row in result.rows)
    without = ["operator LSB"] if exact else []
    if all(row.accuracy is None for row in result.rows):
        without.append("accuracy")
    table = grid(columns, rows, without=without)
    rules = [Text(f"{r.where} rounds: {r.rounding}", style="dim") for r in result.rows[1:] if r.rounding and not exact]
    word = ("EQUAL" if exact else "PASSES") if result.passes else "DIFFERENT"
    verdict = Text.assemble(
        (f" {word} ", f"bold white on {'green' if result.passes else 'red'}"),
        f"  {label(result.model)}: {result.inputs} inputs, {result.distinct} different outputs",
    )
    if result.distinct < 2:
        verdict.append("  the outputs are constant, so this proves nothing", style="red")
    return render(verdict, table, *rules)


def bench(result: BenchResult) -> str:
    """One row an engine: int8 beside float."""
    rows: list[list[Text]] = []
    for row in result.rows:
        int8, real = row.int8, row.float32
        where = f"{row.where} ({row.skipped})" if row.skipped else row.where
        gain = "" if row.speedup is None else f"{row.speedup:.2f}x"
        smaller = "" if not (int8 and real) else f"{real.file_bytes / int8.file_bytes:.2f}x"
        sizes = [*(_kib(t.file_bytes if t else None) for t in (int8, real)), smaller]
        peaks = [_kib(t.peak_bytes if t else None) for t in (int8, real)]
        cells = [where, _timed(int8), _timed(real), gain, *sizes, *peaks]
        rows.append([Text(cell) for cell in cells])
    names = ("where", "int8 ms", "float ms", "faster", "int8 KB", "float KB", "smaller", "int8 peak", "float peak")
    columns: dict[str, JustifyMethod] = {n: "left" if n == "where" else "right" for n in names}
    head = f"{label(result.model)}: {result.macs:,} MACs, {result.threads} thread(s), {result.host}"
    notes = (
        "ms: median (first to third quartile); KB: the file; peak: KB by which the process grows, loading and running; "
        f"float: {result.float_model}"
    )
    say = _gain(result)
    table = grid(columns, rows, drop=["float peak", "int8 peak"])
    devices = [Text(line) for row in result.rows for line in _device(row)]
    return render(Text(head), table, *devices, Text(notes, style="dim"), Text(say))


def _device(row: BenchRow) -> list[str]:
    """What a board, phone or gateway says beside its time."""
    lines = []
    if row.board is not None:
        b = row.board
        count = f"{b.count:,} {b.counts}" if b.counts else "no counter"
        stack = f"stack {b.stack_bytes:,} B" if b.stack_bytes else "stack not known"
        again = f", {b.resent} requests sent again" if b.resent else ""
        lines.append(f"{row.where}: {count}, {stack} ({row.how.value}); {_agreement(b.differ, b.elements)}{again}")
    if row.remote is not None:
        r = row.remote
        runs = f"{r.runs:,} runs in {r.seconds:.1f} s"
        lines.append(f"{row.where}: {r.processor}, {runs}; {_agreement(r.differ, r.elements)}")
        for name, spell in (("first minute", r.first), ("last minute", r.last)):
            if spell is not None:
                clock = f"{spell.mhz:,} MHz" if spell.mhz else "clock not told"
                heat = f"{spell.celsius:.1f} °C" if spell.celsius else "temperature not told"
                lines.append(f"    {name}: {spell.median_ms:.3g} ms, at its end {clock}, {heat}")
    return lines


def _agreement(differ: int, elements: int) -> str:
    return f"{differ:,} of {elements:,} outputs differ" if differ else f"all {elements:,} outputs equal"


def _gain(result: BenchResult) -> str:
    """One sentence: what int8 really gains."""
    gains = sorted((row.speedup, row.where) for row in result.rows if row.speedup is not None)
    if not gains:
        return ""
    (low, worst), (high, best) = gains[0], gains[-1]
    sizes = sorted(r.float32.file_bytes / r.int8.file_bytes for r in result.rows if r.int8 and r.float32)
    range = f"{low:.2f} ({worst}) to {high:.2f} ({best})" if len(gains) > 1 else f"{high:.2f} ({best})"
    return f"→ int8 here is {range} times as fast as float, in a file {sizes[0]:.1f} to {sizes[-1]:.1f} times smaller"


def _timed(timing: Timing | None) -> str:
    if timing is None:
        return ""
    low, high = timing.spread_ms
    return f"{timing.median_ms:.3g} ({low:.3g} to {high:.3g})"


def _kib(size: int | None) -> str:
    return "" if size is None else f"{size / KIB:,.0f}"


def _figures(result: CheckResult) -> Table:
    """Two columns: the figure's name; the figure, with where it comes from."""
    table = Table.grid(padding=(0, 2))
    ram, flash = result.ram, result.flash
    stack = "the stack (not measured)" if ram["stack"] is None else f"stack {ram['stack']:,}"
    static = f" + static {ram['static']:,}" if ram["static"] else ""
    arena = f"activations {ram['activations']:,} (bound layer by layer {ram['lower_bound']:,})"
    used = f"  {_share(ram)}, {result.how['ram']}, arena in {ram['memory']}"
    table.add_row("RAM", _bar(ram["total"], ram["limit"]).append(used))
    table.add_row("", Text(f"{arena} + scratch {ram['scratch']:,} + {stack}{static}", style="dim"))
    table.add_row("flash", _bar(flash["total"], flash["limit"]).append(f"  {_share(flash)}, {result.how['flash']}"))
    beside = f"channel parameters {flash['parameters']:,}, transformed weights {flash['transformed']:,}"
    table.add_row("", Text(f"weights {flash['weights']:,} + code {flash['code']:,} (of it {beside})", style="dim"))
    if result.instructions is not None:
        per_mac = f"{result.instructions / result.macs:.2f} per MAC, " if result.macs else ""
        work = f"{result.instructions:,} instructions ({per_mac}{result.macs:,} MACs), {result.how['instructions']}"
    else:
        work = f"{result.macs:,} MACs"
    table.add_row("work", work)
    if result.cycles_range:
        low, high = result.cycles_range
        ends = ": without wait states … with the part's own" if high else ", without wait states"
        table.add_row("cycles", f"{_span(low / 1e6, high and high / 1e6, 'M')}{ends}, {result.how['cycles']}")
    if result.latency_range_ms:
        table.add_row("time", f"{_span(*result.latency_range_ms, 'ms')}, {result.how['latency']}")
    if result.energy_uj is not None:
        table.add_row("energy", f"{figure(result.energy_uj)} µJ, {result.how['energy']}")
    if result.front_end is not None and result.sum is not None:
        _add_front_end(table, result.front_end, result.sum)
    saved = ", ".join(_saved(s) for s in result.passes if s.ops or s.constant_bytes or s.macs)
    if saved:
        table.add_row("passes", f"saved {saved}")
    return table


def _add_front_end(table: Table, front: FrontEndFigures, both: Sum) -> None:
    """What stands before the net, and both together; the rows above are the net's own."""
    samples = f"RAM {front.step_samples_bytes:,} (samples of a step; {front.samples_bytes:,} of all)"
    table.add_row("front end", f"{front.name}, {front.steps} steps: {_cost(front)}")
    work = f"work {front.work_bytes:,} (in the arena where it fits)"
    table.add_row("", Text(f"{samples} + {work}, flash {front.flash:,}", style="dim"))
    table.add_row("in sum", f"RAM {both.ram:,} B, flash {both.flash:,} B, {_cost(both)}")


def _cost(figures: FrontEndFigures | Sum) -> str:
    count = "not run" if figures.instructions is None else f"{figures.instructions:,} instructions"
    return f"{count}, {_span(*figures.latency_range_ms, 'ms')}" if figures.latency_range_ms else count


def _saved(saving: Saving) -> str:
    """What a pass took out, in the figures that are not 0."""
    figures = {"ops": saving.ops, "B": saving.constant_bytes, "MACs": saving.macs}
    return f"{' '.join(f'{n:,} {unit}' for unit, n in figures.items() if n)} ({saving.name})"


def _layers(result: CheckResult) -> Table:
    columns: dict[str, JustifyMethod] = {"layer": "left", "kernel": "left", "output": "left"}
    columns |= dict.fromkeys(("MACs", "instructions", "per MAC", "share", "RAM B", "weights B"), "right")
    peak = max(layer.ram for layer in result.layers)
    rows: list[Sequence[RenderableType]] = []
    for layer in result.layers[:LAYERS_SHOWN]:
        count = layer.instructions
        rows.append((
            layer.name,
            layer.kernel,
            layer.shape,
            f"{layer.macs:,}" if layer.macs else "",
            f"{count:,}" if count is not None else "",
            f"{count / layer.macs:.2f}" if count is not None and layer.macs else "",
            f"{count / max(result.instructions or 0, 1):.1%}" if count is not None else "",
            Text(f"{layer.ram:,}" + (" ◄" if layer.ram == peak else "  "), style="bold" if layer.ram == peak else ""),
            f"{layer.weights:,}" if layer.weights else "",
        ))
    measured = result.instructions is not None
    without = () if measured else ("instructions", "per MAC", "share")
    return grid(columns, rows, drop=("kernel", "weights B", "MACs", "output"), without=without)


def _tradeoff(result: CheckResult) -> Table:
    fastest = result.tradeoff[0].instructions
    rows: list[Sequence[RenderableType]] = []
    for trade in result.tradeoff:
        more = f"{trade.instructions / fastest - 1:+.1%}" if trade.instructions != fastest else ""
        style = "" if trade.ram_bytes <= result.ram["limit"] else "dim"
        cells = (trade.how, f"{trade.ram_bytes:,}", f"{trade.instructions:,}", more)
        rows.append([Text(cell, style=style) for cell in cells])
    return grid({"how": "left", "RAM B": "right", "instructions": "right", "more": "right"}, rows)


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
    full = min(max(round(BAR * value / limit), 1), BAR)
    style = "red" if value > limit else "yellow" if value > 0.8 * limit else "green"
    return Text.assemble(("━" * full, style), ("─" * (BAR - full), "dim"))


def _share(figures: Mapping[str, int]) -> str:
    share = figures["total"] / figures["limit"]
    percent = f"{share:.0%}" if share < 10 else f"{share:,.0f} times"
    return f"{figures['total']:,} of {figures['limit']:,} B ({percent})"


def figure(value: float) -> str:
    """Three significant digits, without an exponent."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}"


def _span(low: float, high: float | None, unit: str = "") -> str:
    tail = f" {unit}" if unit else ""
    if high is None:
        return f"{figure(low)}{tail} or more"
    return f"{figure(low)}{tail}" if figure(low) == figure(high) else f"{figure(low)} … {figure(high)}{tail}"


def label(model: str) -> str:
    """What a model is called in a heading: of a path, its last part."""
    return Path(model).name or model


def core_name(core: str) -> str:
    """A core as its vendor writes it."""
    return cores.load(core).name


def grid(
    columns: Mapping[str, JustifyMethod],
    rows: Sequence[Sequence[RenderableType]],
    drop: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Table:
    """A table without the columns `without`, and without as many of `drop`, first to last, as the width demands."""
    gone = set(without)
    for candidate in (None, *drop):
        if candidate is not None:
            gone.add(candidate)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
        for name, justify in columns.items():
            if name not in gone:
                table.add_column(name, justify=justify, overflow="fold")
        for row in rows:
            table.add_row(*(cell for name, cell in zip(columns, row, strict=True) if name not in gone))
        if _console(UNLIMITED).measure(table).maximum <= width():
            break
    return table


def width() -> int:
    """Columns to print in: the terminal's, within reason."""
    if not sys.stdout.isatty():
        return PLAIN_WIDTH
    return min(max(shutil.get_terminal_size((80, 24)).columns, LEAST_WIDTH), MOST_WIDTH)


def render(*parts: RenderableType) -> str:
    """`parts` as text, with color where standard output is a terminal."""
    console = _console()
    for part in parts:
        console.print(part)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()).rstrip("\n")


def _console(columns: int | None = None) -> Console:
    return Console(file=io.StringIO(), width=columns or width(), force_terminal=_color(), highlight=False)


def _color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def build(result: BuildResult) -> str:
    """One row a device, then where the bundles are and what to do next."""
    columns: dict[str, JustifyMethod] = {"device": "left", "net": "left"}
    figures = ("float", "int8", "balanced", "on device", "RAM B", "flash B", "instructions", "ms", "fits")
    columns |= dict.fromkeys(figures, "right")
    rows: list[Sequence[RenderableType]] = []
    for model in result.models:
        on_device = {d.target: f"{d.accuracy:.1%} of {d.samples}" for d in model.device}
        for checked in model.checks:
            rows.append((
                checked.target,
                model.net,
                f"{model.accuracy_float:.1%}",
                f"{model.accuracy_int8:.1%}",
                f"{model.balanced_int8:.1%}" if model.unequal else "",
                on_device.get(checked.target, "not run"),
                f"{checked.whole.ram:,}",
                f"{checked.whole.flash:,}",
                f"{checked.whole.instructions:,}" if checked.whole.instructions is not None else "not run",
                _span(*checked.whole.latency_range_ms) if checked.whole.latency_range_ms else "no source",
                Text("yes", style="green") if checked.fits else Text("NO", style="bold red"),
            ))
    without = () if any(m.unequal for m in result.models) else ("balanced",)
    table = grid(columns, rows, ("float", "net", "on device"), without)
    others = [Text(f"{m.net}: " + ", ".join(
        [f"{name} {value:.1%}" for name, value in m.details.items()]
        + [f"{name} {value:.4g} (chosen on validation)" for name, value in m.settings.items()]))
        for m in result.models if m.details or m.settings]
    reasons = [Text(f"✗ {c.target}: {r}", style="red") for m in result.models for c in m.checks for r in c.reasons]
    where = [Text(f"battery: {life.target}, {m.duty}: {life}") for m in result.models for life in m.battery]
    where += [Text(f"bundle: {m.bundle}") for m in result.models]
    first = result.models[0]
    target = first.checks[0].target
    steps = [
        "next:",
        f"  read       {first.bundle}/model_card.md",
        f"  look       ratti check {first.bundle} --target {target}",
        f"  prove      ratti verify {first.bundle} --targets {','.join(c.target for c in first.checks)}",
        f"  compile    {first.bundle}/c/{targets.load(target).isa}/{result.name}.c into your firmware: "
        f"{_calls(result)}",
    ]
    tested = f"{result.data['test']:,} test samples"
    title = Text(f"{result.name}: {first.metric} on {tested}, figures from the emulated devices")
    return render(title, table, *others, *reasons, *where, Text(), *map(Text, steps))


def _calls(result: BuildResult) -> str:
    name = result.name
    if result.models[0].checks[0].front_end is None:
        return f"write the input, call {name}_run(arena), ask {name}_answer.h what the output means"
    return f"{name}_features(samples, input, work), {name}_run(arena), {name}_answer.h says what the output means"
