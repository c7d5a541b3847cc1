"""The accuracy ladder of a compression as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import JustifyMethod, RenderableType
from rich.text import Text

from .tables import grid, render

if TYPE_CHECKING:
    from ..compress import Sensitivity
    from ..verbs.compress import CompressResult


def compress(result: CompressResult) -> str:
    """One row a step, then what was noticed and where the bundle is."""
    columns: dict[str, JustifyMethod] = {"step": "left"}
    columns |= dict.fromkeys(("validation", "test", "instructions", "RAM B", "flash B", "ms", "fits"), "right")
    columns["how"] = "left"
    rows: list[Sequence[RenderableType]] = []
    for r in result.ladder:
        mark = Text(f"{r.step} ◄" if r.step == result.chosen else r.step)
        rows.append((mark, f"{r.val:.1%}", f"{r.test:.1%}", _number(r.instructions), _number(r.ram), _number(r.flash),
                     "" if r.latency_ms is None else f"{r.latency_ms:.3g}", _verdict(r.fits), r.how))
    what = "balanced accuracy" if result.balanced else result.result.metric
    title = Text(f"{result.model} for {result.target}: {what} at every step, ◄ is in the bundle")
    reasons = [Text(f"✗ {r}", style="red") for c in result.result.checks for r in c.reasons]
    if result.max_drop is not None and result.drop > result.max_drop:
        reasons.append(Text(f"✗ {what}: {result.drop:.1f} points lost on validation, over the limit of "
                            f"{result.max_drop:g}", style="red"))
    notes = [Text(f"· {note}") for note in result.notes]
    parts: list[RenderableType] = [title, grid(columns, rows), *reasons, *notes]
    if result.sensitivity is not None:
        parts += [Text(), *_sensitivity(result.sensitivity)]
    return render(*parts, Text(f"bundle: {result.result.bundle}"))


def _sensitivity(table: Sensitivity) -> list[RenderableType]:
    columns: dict[str, JustifyMethod] = {"layer alone in int8": "left", "accuracy lost": "right", "loss added": "right",
                                         "signal to noise": "right"}
    rows = [(y.layer, f"{100 * y.accuracy_drop:+.2f} points", f"{y.loss_rise:+.4f}", f"{y.noise_db:.1f} dB")
            for y in table.layers]
    return [grid(columns, rows), Text(f"{table.samples} validation samples; the costliest is {table.worst.layer}")]


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _verdict(fits: bool | None) -> Text:
    if fits is None:
        return Text()
    return Text("yes", style="green") if fits else Text("NO", style="bold red")
