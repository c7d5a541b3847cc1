"""Results of the language-model verbs as tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from ..targets.hosts import Host
from .tables import figure, grid, label, render

if TYPE_CHECKING:
    from ..llm.bench import BenchResult
    from ..llm.convert import Converted
    from ..llm.exl2.quantize import Exl2Result
    from ..llm.fit import FitResult, FitTable
    from ..llm.quantize import Quantized
    from ..llm.train import LanguageResult

PARTS = {"weights": "weights, the file mapped", "repack": "second copy in the kernels' order", "kv": "keys and values",
         "compute": "buffers of the graph", "process": "program and vocabulary"}


def mib(size: float) -> str:
    """Bytes in MiB, as memory is counted."""
    return f"{size / (1 << 20):,.0f} MiB"


def _count(parameters: int) -> str:
    return f"{parameters / 1e9:.2f} B" if parameters >= 100_000_000 else f"{parameters / 1e6:.1f} M"


def fit(result: FitResult) -> str:
    """The verdict, where memory goes, the speed, every file type, advice."""
    o, ok = result.chosen, result.fits
    verdict = Text.assemble(
        (" FITS " if ok else " DOES NOT FIT ", "bold white on green" if ok else "bold white on red"),
        f"  {label(result.model)} ({_count(result.parameters)} parameters) as {o.type} on {result.device.name}, "
        f"context {result.context}",
    )
    figures = Table.grid(padding=(0, 2))
    share = o.memory.total / result.usable_bytes
    figures.add_row("memory", f"{mib(o.memory.total)} of {mib(result.usable_bytes)} ({share:.0%}), estimated")
    for name, about in PARTS.items():
        size = getattr(o.memory, name)
        if size:
            figures.add_row("", Text(f"{mib(size):>11}  {about}", style="dim"))
    s = o.speed
    figures.add_row("speed", f"{figure(s.predicted)} tokens/s ({figure(s.low)} … {figure(s.high)}), {s.how}, "
                             f"bound by {s.bound}")
    figures.add_row("", Text(s.source, style="dim"))
    if result.check is not None:
        c = result.check
        figures.add_row("check", f"here: predicted {mib(c.predicted_bytes)}, measured peak {mib(c.measured_bytes)} "
                                 f"({c.error:+.1%}), a full-size file of random blocks")
    parts: list[RenderableType] = [verdict, Text(), figures]
    if len(result.options) > 1:
        columns: dict[str, JustifyMethod] = {"file": "left", "weights": "right", "memory": "right", "fits": "left",
                                             "tokens/s": "right", "flags": "left"}
        rows = [(p.type + (" ◄" if p is o else ""), mib(p.memory.weights), mib(p.memory.total),
                 "yes" if p.fits else "no", figure(p.speed.predicted), p.flags.line()) for p in result.options]
        parts += [grid(columns, rows, drop=("flags",))]
    parts.append(Text())
    advice = Table.grid(padding=(0, 1))
    for line in result.advice:
        advice.add_row("→", line)
    return render(*parts, advice)


def fits(table: FitTable) -> str:
    """One row a model and device: the best file, or the smallest where none fits."""
    columns: dict[str, JustifyMethod] = dict.fromkeys(("model", "device", "file", "fits"), "left")
    columns |= {"memory": "right", "of usable": "right", "tokens/s": "right", "between": "right", "flags": "left"}
    rows = []
    for r in table.rows:
        o = r.chosen
        rows.append((label(r.model), r.device.id, o.type, "yes" if r.fits else "no", mib(o.memory.total),
                     mib(r.usable_bytes), figure(o.speed.predicted), f"{figure(o.speed.low)} … {figure(o.speed.high)}",
                     o.flags.line()))
    about = f"context {table.rows[0].context}; memory and speed are estimated, from shapes and published figures"
    return render(grid(columns, rows, drop=("flags",)), Text(about, style="dim"))


def bench(result: BenchResult) -> str:
    """One row a file; perplexity against the first."""
    columns: dict[str, JustifyMethod] = {"file": "left"}
    figures = ("MB", "bits/weight", "perplexity", "against first", "bits/char", "tokens/s", "prompt tok/s", "peak RSS")
    columns |= dict.fromkeys(figures, "right")
    rows: list[Sequence[RenderableType]] = []
    for row in result.rows:
        rows.append((
            row.name,
            f"{row.bytes / 1e6:,.1f}",
            f"{row.bits_per_weight:.2f}",
            f"{row.perplexity:.3f}" if row.perplexity is not None else "",
            f"{row.against_float:+.2%}" if row.against_float is not None else "",
            f"{row.bits_per_character:.3f}" if row.bits_per_character is not None else "",
            figure(row.tokens_per_s),
            figure(row.prompt_tokens_per_s),
            mib(row.peak_rss_bytes),
        ))
    without = () if result.text else ("perplexity", "against first", "bits/char")
    table = grid(columns, rows, drop=("bits/char", "prompt tok/s"), without=without)
    about = f"perplexity on {result.text} in windows of {result.context} tokens; " if result.text else ""
    return render(table, Text(f"{about}measured here; peak RSS with the measuring program", style="dim"))


def converted(result: Converted) -> str:
    """One line."""
    return (f"{result.path}: {result.architecture}, {result.parameters / 1e6:,.1f} M parameters, {result.type}, "
            f"{result.bytes / 1e6:,.1f} MB")


def quantized(result: Quantized) -> str:
    """One line, and which types are in it."""
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(result.types.items()))
    return (f"{result.path}: {result.type}, {result.bits_per_weight:.2f} bits/weight, {result.bytes / 1e6:,.1f} MB "
            f"({result.source_bytes / max(result.bytes, 1):.1f} times smaller), by {result.engine}; tensors: {kinds}")


def exl2(result: Exl2Result) -> str:
    """One line, and how the bits lie."""
    kinds = ", ".join(f"{share:.0%} at {bits} bits" for bits, share in sorted(result.shares.items()))
    return (f"{result.path}: EXL2, {result.bits_per_weight:.2f} bits/weight in the linear layers ({kinds}), "
            f"{result.bytes / 1e6:,.1f} MB; for GPU gateways: exllamav2 runs it on CUDA")


def trained(result: LanguageResult) -> str:
    """What was made and what to do with it."""
    c, folder = result.cost, Path(result.folder)
    return "\n".join((
        f"{folder}: {result.parameters / 1e6:.2f} M parameters, validation perplexity "
        f"{result.validation_perplexity:.2f} (epoch {result.best_epoch} of {result.epochs}), {result.seconds:.0f} s",
        f"tokenizer: {c.tokens:,} tokens for {c.characters:,} characters ({c.characters_per_token:.2f} a token) in "
        f"{c.bytes:,} bytes; {c.byte_tokens:,} tokens stand for single bytes",
        "",
        "next:",
        f"  ratti llm convert {folder}",
        f"  ratti llm bench {folder} --types q8_0,q4_k_m,q4_0 --text TEST.txt",
    ))


def hosts(known: Sequence[Host]) -> str:
    """Phones and gateways, one row each."""
    columns: dict[str, JustifyMethod] = dict.fromkeys(("id", "device", "processor"), "left")
    columns |= dict.fromkeys(("memory MiB", "usable MiB", "GB/s", "int8 GOPS"), "right")
    rows = [(h.id, h.name, h.cpu, f"{h.memory_bytes / (1 << 20):,.0f}", f"{h.usable_bytes / (1 << 20):,.0f}",
             f"{h.bandwidth_bytes_per_s / 1e9:g}", f"{h.int8_ops_per_s / 1e9:g}") for h in known]
    return render(Text("phones and gateways, for language models (ratti llm fit)", style="bold"),
                  grid(columns, rows, drop=("processor",)))


def host(h: Host) -> str:
    """A phone or a gateway in full."""
    rows = [(name, f"{value:,.10g}", Text(h.source(name), style="yellow" if "estimated" in h.source(name) else ""))
            for name, value in h.numbers.items()]
    table = grid({"figure": "left", "value": "right", "source": "left"}, rows)
    about = f"{h.id}: {h.name}, {h.cpu}" + (f", with {', '.join(h.extensions)}" if h.extensions else "")
    return render(Text(about, style="bold"), table, *([Text(h.note)] if h.note else []))


def host_json(h: Host) -> dict[str, object]:
    """All numbers of a host with their sources."""
    numbers = {name: {"value": value, "source": h.source(name)} for name, value in h.numbers.items()}
    return {"id": h.id, "name": h.name, "kind": h.kind, "cpu": h.cpu, "extensions": list(h.extensions),
            "numbers": numbers, "note": h.note}
