"""What a search found and learned, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING

from rich.console import JustifyMethod, RenderableType
from rich.text import Text

from .tables import figure, grid, render

if TYPE_CHECKING:
    from ..search.learned import Option
    from ..verbs.search import SearchResult


TELLING = 20  # nets that were trained: of fewer, shares say nothing


def search(result: SearchResult) -> str:
    """The front, what was chosen, and what to do next."""
    head = (f"{result.study}: {result.trials} candidates, {result.within_limits} of them within the limits and trained"
            f"{f', {result.failed} lost' if result.failed else ''}; "
            f"{result.seconds / 60:.1f} of {result.minutes:g} min")
    parts: list[RenderableType] = [Text(head)]
    if result.clock:
        parts.append(Text("time: " + ", ".join(f"{name} {seconds / 60:.1f} min" for name, seconds in
                                               result.clock.items())))
    parts += [Text(f"✗ {reason}", style="red") for reason in result.reasons]
    if result.front:
        parts.append(_front(result))
    if result.front and result.within_limits >= TELLING:
        parts += [Text("\nwhat the front chose (share of the front, of all nets tried; mean accuracy):"),
                  _options(result.options)]
    if result.ranks is not None:
        parts.append(Text(f"\n{result.ranks['nets']} nets on {result.target} and {result.ranks['target']}: "
                          f"rank correlation of their work {result.ranks['correlation']:.3f}"))
        parts += [Text(f"a front chosen for the other takes {median(extra):.0%} more work on {device} in the "
                       f"median of {len(extra)} nets, at most {max(extra):.0%}")
                  for device, extra in result.ranks["extra"].items()]
    if result.front:
        best = result.front[0]
        parts.append(Text(f"\nnext:\n  look       ratti check {best.path} --target {result.target}\n"
                          f"  prove      ratti verify {best.path} --targets {result.target}"))
    return render(*parts)


def _front(result: SearchResult) -> RenderableType:
    names = ("test", "validation", "RAM B", "flash B", "instructions", "ms", "µJ")
    columns: dict[str, JustifyMethod] = {"net": "left", **dict.fromkeys(names, "right")}
    rows: list[Sequence[RenderableType]] = []
    for net in result.front:
        latency = "no source" if net.latency_ms is None else figure(net.latency_ms)
        energy = "" if net.energy_uj is None else figure(net.energy_uj)
        rows.append((net.net, f"{net.accuracy:.1%}", f"{net.val_accuracy:.1%}", f"{net.ram:,}", f"{net.flash:,}",
                     f"{net.instructions:,}", latency, energy))
    return grid(columns, rows, drop=("validation", "µJ"))


def _options(options: Sequence[Option]) -> RenderableType:
    rows: list[Sequence[RenderableType]] = []
    for name, group in groupby(options, key=lambda o: o.choice):
        cells = []
        for o in group:
            mean = "" if o.accuracy is None else f", {o.accuracy:.1%}"
            cells.append(f"{o.option:g}: {o.front:.0%} ({o.tried:.0%}{mean})")
        rows.append((name, "   ".join(cells)))
    return grid({"choice": "left", "options": "left"}, rows)
