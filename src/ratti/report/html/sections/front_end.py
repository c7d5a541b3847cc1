"""What stands before the net, beside the net itself."""

from __future__ import annotations

from ..markup import Child, Markup, join, number, section, span, table
from ..runs import Json
from .verdict import totals


def front_end(check: Json) -> Markup:
    """Front end, net and sum; nothing where the net is fed as it is."""
    front = check.get("front_end")
    if front is None:
        return join()
    sums = totals(check)
    net = {"ram": check["ram"]["total"], "flash": check["flash"]["total"],
           **{k: check[k] for k in ("instructions", "latency_range_ms", "energy_uj")}}
    work = front["step_samples_bytes"] + front["static_bytes"] + front["work_bytes"]
    rows = [_row(f"front end ({front['name']})", {**front, "ram": work}), _row("net", net), _row("both", sums)]
    columns = [("", "text"), *((c, "number") for c in ("RAM B", "flash B", "instructions", "time", "µJ"))]
    note = ("The front end runs before the net, one after the other: its work area takes the net's arena where that is "
            "large enough, so RAM of both may be less than the sum.")
    return section("Front end and net", table(columns, rows), note=note)


def _row(name: str, figures: Json) -> list[Child]:
    ends = figures["latency_range_ms"]
    return [name, figures["ram"], figures["flash"], figures["instructions"], (span(ends, "ms"), ends and ends[0]),
            (number(figures["energy_uj"]), figures["energy_uj"])]
