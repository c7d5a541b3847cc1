"""HTML as values: text is escaped unless it is `Markup`, which only the functions here make."""

from __future__ import annotations

from html import escape
from typing import Any


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


VOID = {"img", "input", "meta", "rect", "line", "path", "circle", "polyline"}
Child = Any  # Markup, text, a number, None (left out), or a sequence of these


def tag(element: str, /, *children: Child, **attributes: Any) -> Markup:
    """One element. `class_` is class, `data_tip` is data-tip; None and False leave an attribute out, True is bare."""
    words = [element]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        label = key.rstrip("_").replace("_", "-")
        words.append(label if value is True else f'{label}="{escape(_plain(value))}"')
    opening = f"<{' '.join(words)}>"
    if element in VOID:
        return Markup(opening.removesuffix(">") + "/>")
    return Markup(f"{opening}{join(*children)}</{element}>")


def join(*children: Child) -> Markup:
    """Children one after the other."""
    return Markup("".join(_text(c) for c in children))


def _text(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, (list, tuple)):
        return join(*child)
    return escape(_plain(child))


def _plain(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) and not value.is_integer() else f"{value:.0f}" if isinstance(
        value, float) else str(value)


def number(value: float | None, none: str = "–") -> str:
    """Whole numbers with separators, others with three digits."""
    if value is None:
        return none
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def size(value: float) -> str:
    """Bytes for people: KiB with three digits from 1 KiB up."""
    for unit, least in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= least:
            short = value / least
            return f"{short:,.0f} {unit}" if short >= 100 else f"{short:.3g} {unit}"
    return f"{value:,.0f} B"


def span(ends: Any, unit: str = "") -> str:
    """A range with an open or a closed upper end; a dash where there is none."""
    if ends is None:
        return "–"
    low, high = ends
    after = f" {unit}" if unit else ""
    return f"{number(low)} … {number(high)}{after}" if high is not None else f"{number(low)}{after} or more"


def section(title: str, *children: Child, note: Child = None, id: str | None = None) -> Markup:
    """A titled part of the page."""
    return tag("section", tag("h3", title), tag("p", note, class_="note") if note else None, *children, id=id)


def bar(words: str, share: float) -> Markup:
    """Words in a table's cell over a bar of `share`, from 0 to 1, of its width."""
    return tag("span", tag("i", style=f"width:{share:.1%}"), tag("b", words), class_="cell")


def table(columns: list[tuple[str, str]], rows: list[list[Child]], class_: str = "") -> Markup:
    """A sortable table. Columns are (name, "text", "number" or "bar"). A cell is text, a number, or
    (what is shown, sort key).
    """
    buttons = [(tag("button", name, type="button"), kind) for name, kind in columns]
    head = tag("tr", [tag("th", button, class_=kind, scope="col") for button, kind in buttons])
    body = []
    for row in rows:
        cells = []
        for (_, kind), cell in zip(columns, row, strict=True):
            shown, key = cell if isinstance(cell, tuple) else (cell, cell)
            if isinstance(shown, (int, float)):
                shown = number(shown)
            cells.append(tag("td", "–" if shown is None else shown, class_=kind, data_key="" if key is None else key))
        body.append(tag("tr", cells))
    inner = tag("table", tag("thead", head), tag("tbody", body), class_=f"sortable {class_}".strip())
    return tag("div", inner, class_="scroll")
