"""Where the instructions go, layer by layer."""

from __future__ import annotations

from ..markup import Child, Markup, bar, number, section, table
from ..runs import Json


def layers(check: Json) -> Markup:
    """A sortable table with bars; without columns of figures that there are not."""
    rows = check["layers"]
    work, most_ram = check["instructions"], max(r["ram"] for r in rows)
    priced = any(r["cycles"] is not None for r in rows)
    columns = [("call", "number"), ("layer", "text"), ("kernel", "text"), ("output", "text"), ("MACs", "number")]
    columns += [("instructions", "number"), ("per MAC", "number")] if work else []
    columns += [("cycles", "number")] if priced else []
    columns += [("share", "bar")] if work else []
    columns += [("RAM B", "bar"), ("weights B", "number")]
    most = max((r["instructions"] or 0) for r in rows) or 1
    body: list[list[Child]] = []
    for k, r in enumerate(rows):
        row: list[Child] = [k, r["name"], r["kernel"], r["shape"], (number(r["macs"] or None, ""), r["macs"])]
        if work:
            per = r["instructions"] / r["macs"] if r["macs"] else None
            row += [r["instructions"], ("" if per is None else f"{per:.2f}", per)]
        row += [r["cycles"]] if priced else []
        if work:
            row.append((bar(f"{r['instructions'] / work:.1%}", r["instructions"] / most), r["instructions"]))
        row += [(bar(number(r["ram"]), r["ram"] / max(most_ram, 1)), r["ram"]),
                (number(r["weights"] or None, ""), r["weights"])]
        body.append(row)
    note = "RAM is what exists in the arena while the layer runs." + (
        " Cycles at zero wait states." if priced else "")
    return section("Layer by layer", table(columns, body, "layers"), note=note)
