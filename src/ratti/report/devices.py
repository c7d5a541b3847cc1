"""Targets as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from ..targets import Target, numbers
from .tables import core_name, grid, render


def to_json(target: Target) -> dict[str, Any]:
    """All numbers of a target with their sources."""
    return {
        "id": target.id,
        "name": target.name,
        "vendor": target.vendor,
        "core": target.core,
        "isa": target.isa,
        "ram_bytes": target.ram_bytes,
        "flash_bytes": target.flash_bytes,
        "numbers": {k: {"value": v, "source": target.source(k)} for k, v in numbers(target).items()},
        "note": target.note,
    }


def many(known: Sequence[Target]) -> str:
    """One row a target."""
    columns: dict[str, JustifyMethod] = dict.fromkeys(("id", "device", "core", "instruction set"), "left")
    columns |= dict.fromkeys(("clock MHz", "RAM KiB", "flash KiB"), "right")
    rows = [
        (t.id, t.name, core_name(t.core), t.isa, f"{t.clock_hz / 1e6:g}", f"{t.ram_bytes / 1024:,.0f}",
         f"{t.flash_bytes / 1024:,.0f}")
        for t in known
    ]
    table = grid(columns, rows, drop=("instruction set", "clock MHz"))
    return render(table, Text("ratti targets ID shows one in full, with the source of each number", style="dim"))


def one(target: Target) -> str:
    """A target in full."""
    name = f"{target.id}: {target.name} by {target.vendor}, {core_name(target.core)} ({target.isa})"
    title = Text(name, style="bold")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("source", overflow="fold")
    for name, value in numbers(target).items():
        text = f"{value:#x}" if name.endswith("origin") else f"{value:,}"
        source = target.source(name)
        table.add_row(name, text, Text(source, style="yellow" if source == "unverified" else ""))
    return render(title, table, *([Text(target.note)] if target.note else []))
