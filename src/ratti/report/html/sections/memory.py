"""Memory over time: which tensor lies where in the arena, call by call."""

from __future__ import annotations

import math

from ..markup import Child, Markup, join, section, size, tag
from ..runs import Json

WIDTH, HEIGHT = 960, 300
LEFT, BOTTOM, TOP = 64, 34, 8
LETTER = 7.0  # width of one, about, in units of the drawing
MOST_TICKS = 5
LEAST_LETTERS, LEAST_HEIGHT = 5, 14  # of a block that is labeled
ROLES = {"input": "input", "activation": "activations", "output": "output", "scratch": "scratch"}


def memory(check: Json) -> Markup:
    """The map, with the peak marked."""
    tenants = check.get("arena") or []
    if not tenants:
        return join()
    layers = check["layers"]
    top = max(t["offset"] + t["bytes"] for t in tenants)
    wide = (WIDTH - LEFT) / len(layers)
    high = HEIGHT - BOTTOM - TOP
    peak = max(range(len(layers)), key=lambda k: layers[k]["ram"])
    parts: list[Child] = [tag("rect", x=LEFT + peak * wide, y=TOP, width=wide, height=high, class_="peak")]
    step = 1 << math.ceil(math.log2(max(top / MOST_TICKS, 1)))
    for offset in range(0, top + 1, step):
        y = TOP + high * (1 - offset / top)
        parts += [tag("line", x1=LEFT, x2=WIDTH, y1=y, y2=y, class_="grid"),
                  tag("text", size(offset), x=LEFT - 8, y=y + 4, class_="tick end")]
    parts += [_block(t, top, wide, high) for t in tenants]
    parts += [_label(t, tenants, top, wide, high) for t in tenants]
    parts += [tag("text", k, x=LEFT + (k + 0.5) * wide, y=HEIGHT - BOTTOM + 15, class_="tick middle")
              for k in range(0, len(layers), max(1, len(layers) // 24))]
    parts.append(tag("text", "call", x=(LEFT + WIDTH) / 2, y=HEIGHT - 4, class_="tick middle"))
    used = [r for r in ROLES if any(t["role"] == r for t in tenants)]
    key = tag("p", [tag("span", tag("i", class_=f"swatch m-{r}"), ROLES[r]) for r in used],
              tag("span", tag("i", class_="swatch peak-key"), "peak"), class_="key")
    picture = tag("svg", parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="memory",
                  aria_label="offset in the arena by call")
    ram = check["ram"]
    beside = f" and {ram['static']:,} B static" if ram["static"] else ""
    stack = f"{ram['stack']:,} B of stack" if ram["stack"] is not None else "the stack (not measured)"
    note = (f"Arena of {top:,} B in {ram['memory']}, by offset; {stack}{beside} come on top. The peak is "
            f"{layers[peak]['name']} (call {peak}) with {layers[peak]['ram']:,} B. Where a result is computed over its "
            "operand, the two overlap.")
    return section("Memory over time", key, tag("div", picture, class_="scroll"), note=note)


def _block(t: Json, top: int, wide: float, high: float) -> Markup:
    x, y = LEFT + t["first"] * wide, TOP + high * (1 - (t["offset"] + t["bytes"]) / top)
    w, h = (t["end"] - t["first"]) * wide, high * t["bytes"] / top
    end = t["offset"] + t["bytes"]
    first, last = int(t["first"]), math.ceil(t["end"]) - 1
    tip = (f"{t['name']} ({t['role']}): {t['bytes']:,} B at {t['offset']:,} … {end:,}, "
           + (f"calls {first} to {last}" if last > first else f"call {first}"))
    return tag("rect", x=round(x + 1, 1), y=round(y, 1), width=round(max(w - 2, 0.6), 1), height=round(max(h, 1.0), 1),
               rx=2, class_=f"m-{t['role']}", data_tip=tip, tabindex=0)


def _label(t: Json, tenants: list[Json], top: int, wide: float, high: float) -> Markup:
    """The name in its block, up to where the next one lies over it; nothing where there is no room."""
    begin, end = t["offset"], t["offset"] + t["bytes"]
    over = [o["first"] for o in tenants
            if t["first"] < o["first"] < t["end"] and o["offset"] < end and begin < o["offset"] + o["bytes"]]
    calls = min([*over, t["end"]]) - t["first"]
    letters, h = int((calls * wide - 10) / LETTER), high * t["bytes"] / top
    if letters < LEAST_LETTERS or h < LEAST_HEIGHT:
        return join()
    name = t["name"] if len(t["name"]) <= letters else t["name"][: letters - 1] + "…"
    y = TOP + high * (1 - end / top) + h / 2 + 4
    return tag("text", name, x=round(LEFT + t["first"] * wide + 6, 1), y=round(y, 1), class_="label")
