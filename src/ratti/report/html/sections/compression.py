"""What a compression did: its ladder, the layers before and after, and what each layer alone costs in int8."""

from __future__ import annotations

from collections.abc import Sequence

from .... import targets
from ..markup import Child, Markup, bar, join, number, section, table, tag
from ..runs import Json, Run

WORK = ("instructions", "ram", "flash")


def compression(run: Run) -> Markup:
    """Three tables; the second only where layers changed, the third only where it was asked for."""
    found = run.compression
    if found is None:
        return join()
    return join(_ladder(found), _layers(found), _sensitivity(found))


def _ladder(found: Json) -> Markup:
    steps, chosen = found["ladder"], found["chosen"]
    most = {key: max((s[key] or 0 for s in steps), default=0) or 1 for key in WORK}
    columns = [("step", "text"), ("validation", "number"), ("test", "number"), ("instructions", "bar"),
               ("RAM B", "bar"), ("flash B", "bar"), ("ms", "number"), ("fits", "text")]
    rows: list[list[Child]] = []
    for s in steps:
        name = tag("b", s["step"], " ◄") if s["step"] == chosen else s["step"]
        cells: list[Child] = [(name, s["step"]), _percent(s["val"]), _percent(s["test"])]
        cells += [_bar(s[key], most[key]) for key in WORK]
        rows.append([*cells, (number(s["latency_ms"], ""), s["latency_ms"]), _fits(s["fits"])])
    score = "balanced accuracy" if found["balanced"] else "accuracy"
    lost = f"{-found['drop']:+.1f} points of validation" if found["drop"] else "no change on validation"
    note = (f"{found['model']} for {targets.load(found['target']).name}: {score} at every step; ◄ is in the bundle "
            f"({lost} against the best float net). The steps were chosen on validation; the test set was read once, "
            "when the firmware stood. Steps without figures are float nets, or were not compiled.")
    notes = [tag("p", f"· {line}", class_="note") for line in found["notes"]]
    return section("Accuracy at every step", table(columns, rows), notes, note=note)


def _layers(found: Json) -> Markup:
    before, after = found.get("before"), found["checks"][0]
    if before is None:
        return join()
    old, new = ({row["name"]: row for row in check["layers"]} for check in (before, after))
    names = [*old, *(name for name in new if name not in old)]
    pairs = [(old.get(name), new.get(name)) for name in names]
    if all(a is not None and b is not None and _same(a, b) for a, b in pairs):
        return join()
    most = max((row["instructions"] or 0 for row in (*old.values(), *new.values())), default=0) or 1
    columns = [("layer", "text"), ("output", "text"), ("after", "text"), ("instructions", "bar"), ("after", "bar"),
               ("kept", "number"), ("RAM B", "number"), ("after", "number"), ("weights B", "number"),
               ("after", "number")]
    rows = []
    for name, (a, b) in zip(names, pairs, strict=True):
        work = [_field(row, "instructions") for row in (a, b)]
        kept = work[1] / work[0] if work[0] and work[1] is not None else None
        cells: list[Child] = [name, _field(a, "shape"), _field(b, "shape"), *(_bar(w, most) for w in work),
                              ("" if kept is None else f"{kept:.0%}", kept)]
        rows.append(cells + [_field(row, key) for key in ("ram", "weights") for row in (a, b)])
    note = ("The whole net in int8, and the net in the bundle. RAM is what exists in the arena while the layer runs. "
            "A dash: that net has no such layer.")
    return section("Layer by layer, before and after", table(columns, rows, "compared"), note=note)


def _sensitivity(found: Json) -> Markup:
    asked = found["sensitivity"]
    if asked is None:
        return join()
    worst = max((row["loss_rise"] for row in asked["layers"]), default=0.0)
    columns = [("layer alone in int8", "text"), ("accuracy lost, points", "number"), ("loss added", "bar"),
               ("signal to noise, dB", "number")]
    rows: Sequence[list[Child]] = [
        [row["layer"], (f"{100 * row['accuracy_drop']:+.2f}", row["accuracy_drop"]),
         (bar(f"{row['loss_rise']:+.4f}", max(row["loss_rise"], 0.0) / worst if worst > 0 else 0.0), row["loss_rise"]),
         (f"{row['noise_db']:.1f}", row["noise_db"])] for row in asked["layers"]]
    note = (f"Weights and output of one layer rounded, all else in float, on {asked['samples']:,} validation samples "
            f"({asked['accuracy_float']:.1%} in float).")
    return section("What each layer alone costs in int8", table(columns, list(rows)), note=note)


def _percent(share: float) -> Child:
    return f"{share:.1%}", share


def _bar(value: int | None, most: int) -> Child:
    return "" if value is None else (bar(number(value), value / most), value)


def _fits(fits: bool | None) -> Child:
    if fits is None:
        return ""
    return tag("span", "yes" if fits else "no", class_=f"pill {'yes' if fits else 'no'}"), int(fits)


def _same(a: Json, b: Json) -> bool:
    return all(a[key] == b[key] for key in ("shape", "instructions", "weights"))


def _field(row: Json | None, key: str) -> Child:
    return None if row is None else row[key]
