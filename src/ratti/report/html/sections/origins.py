"""How each figure came about: by what, with which command, from which versions."""

from __future__ import annotations

import shlex

from .... import targets
from ....types import How
from ..markup import Child, Markup, number, section, span, tag
from ..runs import Json, Run
from .verdict import totals

MEANING = {
    How.MEASURED.value: "on a real device",
    How.EMULATED.value: "the shipped code, run on the device's instruction set",
    How.PRICED.value: "emulated instructions times a cited timing table",
    How.ESTIMATED.value: "by arithmetic from the figures above",
    How.ABSENT.value: "no figure",
}


def origins(check: Json) -> Markup:
    """One row a figure, and the command that prints it again."""
    sums, device = totals(check), targets.load(check["target"])
    values = {
        "ram": f"{sums['ram']:,} B", "flash": f"{sums['flash']:,} B", "instructions": number(sums["instructions"]),
        "cycles": span(sums["cycles_range"]), "latency": span(sums["latency_range_ms"], "ms"),
        "energy": f"{number(sums['energy_uj'])} µJ" if sums["energy_uj"] is not None else "–",
    }
    rows = []
    for name, how in check["how"].items():
        about: Child = check["absent"].get(name) or MEANING.get(how, "")
        if name == "energy" and sums["energy_uj"] is not None:
            about = f"slow end of the time × {device.active_mw:g} mW ({device.source('active_mw')})"
        rows.append(tag("tr", tag("th", name, scope="row"), tag("td", values[name], class_="number"),
                        tag("td", how), tag("td", about, class_="dim")))
    unverified = [n for n in targets.numbers(device) if device.source(n) == targets.UNVERIFIED]
    words = [tag("p", "Numbers of this device without a source: ", ", ".join(unverified), ".")] if unverified else []
    words += [tag("p", note, class_="dim") for note in (check.get("assumed"),) if note]
    inner = tag("div", tag("table", tag("tbody", rows), class_="origins"), class_="scroll")
    return section("How each figure was obtained", inner, words, tag("pre", _command(check)))


def _command(check: Json) -> str:
    device = targets.load(check["target"])
    words = ["ratti", "check", check["model"], "--target", check["target"]]
    words += ["--optimize", check.get("optimize", "speed")]
    if check["ram"]["limit"] < device.ram_beside(check["flash"]["total"]):
        words += ["--max-ram", f"{check['ram']['limit']}B"]
    if check["flash"]["limit"] < device.flash_bytes:
        words += ["--max-flash", f"{check['flash']['limit']}B"]
    return shlex.join(words)


def colophon(run: Run) -> Markup:
    """What made the run, at the end of the page."""
    words = ", ".join(f"{name} {version}" for name, version in run.versions.items())
    return tag("footer", tag("p", f"Made by ratti {run.verb}", f" with {words}" if words else "", "."))
