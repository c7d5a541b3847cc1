"""Fits or not, on each device, in one glance."""

from __future__ import annotations

from .... import targets
from ...tables import core_name
from ..markup import Markup, number, size, span, tag
from ..runs import Json, Run

OVER = 1.0


def totals(check: Json) -> Json:
    """RAM, flash, instructions, time and energy of all that the device runs: with the front end, where there is one."""
    both = check.get("sum")
    if both is not None:
        return dict(both)
    same = {k: check[k] for k in ("instructions", "cycles_range", "latency_range_ms", "energy_uj")}
    return {"ram": check["ram"]["total"], "flash": check["flash"]["total"], **same}


def verdict(run: Run) -> Markup:
    """One card a net and device."""
    several = len(run.models) > 1
    cards = [_card(model.name if several else "", check, f"d{m}-{c}") for m, model in enumerate(run.models)
             for c, check in enumerate(model.checks)]
    fitting = sum(bool(c["fits"]) for m in run.models for c in m.checks)
    count = sum(len(m.checks) for m in run.models)
    line = f"{fitting} of {count} fit" if count > 1 else ""
    return tag("section", tag("h2", "Does it fit?", tag("small", line)), tag("div", cards, class_="cards"))


def _card(net: str, check: Json, anchor: str) -> Markup:
    device, sums, fits = targets.load(check["target"]), totals(check), bool(check["fits"])
    about = f"{core_name(device.core)}, {device.clock_hz / 1e6:g} MHz" + (f" · {net}" if net else "")
    rows = [
        _meter("RAM", sums["ram"], check["ram"]["limit"]),
        _meter("flash", sums["flash"], check["flash"]["limit"]),
        _row("time", sums["latency_range_ms"] and span(sums["latency_range_ms"], "ms"), check["absent"].get("latency")),
        _row("energy", sums["energy_uj"] and f"{number(sums['energy_uj'])} µJ", check["absent"].get("energy")),
    ]
    return tag(
        "a",
        tag("header", tag("strong", device.name), tag("span", "fits" if fits else "does not fit",
                                                      class_=f"pill {'yes' if fits else 'no'}")),
        tag("p", about, class_="dim"),
        tag("dl", rows),
        [tag("p", reason, class_="reason") for reason in check["reasons"]],
        class_="card", href=f"#{anchor}",
    )


def _meter(name: str, used: int, limit: int) -> Markup:
    share = used / max(limit, 1)
    bar = tag("span", tag("i", style=f"width:{min(share, 1):.2%}"), class_="meter" + (" over" if share > OVER else ""))
    percent = f"{share:.0%}" if share < 10 else f"{share:,.0f} times"
    words = (f"{size(used)} of {size(limit)} ", tag("span", percent, class_="dim"))
    return tag("div", tag("dt", name), tag("dd", bar, tag("span", words)), title=f"{used:,} of {limit:,} B")


def _row(name: str, value: str | None, reason: str | None) -> Markup:
    shown = tag("span", value) if value else tag("span", "no figure", class_="dim")
    return tag("div", tag("dt", name), tag("dd", shown), title=None if value else reason)
