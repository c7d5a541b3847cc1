"""The roofline of the device: how near each layer comes to what the core can do (Williams et al. 2009)."""

from __future__ import annotations

from .... import targets
from ....device import roofline as roofs
from ..markup import Markup, join, section, tag
from ..runs import Json
from .charts import Axis, Plane


def roofline(check: Json) -> Markup:
    """One point a layer; nothing where the core's ceilings or the layers' cycles have no source."""
    roof = roofs.load(targets.load(check["target"]).core)
    rows = [r for r in check["layers"] if r["cycles"] and r["macs"] and r.get("moved")]
    if roof is None or not rows:
        return join()
    reach = [(r["macs"] / r["moved"], r["macs"] / r["cycles"]) for r in rows]
    knee = roof.macs_per_cycle / roof.bytes_per_cycle
    x = Axis.around("MACs for each byte of operands and results", [*(a for a, _ in reach), knee / 2], log=True)
    y = Axis.around("MACs a cycle", [*(b for _, b in reach), roof.macs_per_cycle], log=True)
    plane = Plane(x, y)
    left = max(x.low, y.low / roof.bytes_per_cycle)
    points = [
        plane.point(a, b, f"{r['name']}: {b:.2f} MACs a cycle ({b / roof.at(a):.0%} of the ceiling), "
                          f"{a:.1f} MACs a byte, {r['kernel']}")
        for r, (a, b) in zip(rows, reach, strict=True)
    ]
    ceiling = plane.curve([(left, roof.at(left)), (knee, roof.macs_per_cycle), (x.high, roof.macs_per_cycle)], "roof")
    note = (f"The line is what the core can do at best: {roof.macs_per_cycle:g} MACs and {roof.bytes_per_cycle:g} "
            f"bytes a cycle ({roof.source}). A point is a layer, each byte counted once, cycles at zero wait states. "
            "Kernels that spare multiplications (Winograd) may lie above it.")
    return section("Roofline", tag("div", plane.draw("roofline", ceiling, points), class_="scroll"), note=note)
