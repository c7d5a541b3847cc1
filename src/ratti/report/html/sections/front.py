"""What a search found: accuracy against work, and the nets of the front."""

from __future__ import annotations

from .... import targets
from ..markup import Markup, join, number, section, size, table, tag
from ..runs import Json, Run
from .charts import Axis, Plane


def front(run: Run) -> Markup:
    """The plane and the table; reasons where nothing was found."""
    study = run.study
    if study is None:
        return join()
    reasons = [tag("p", reason, class_="reason") for reason in study["reasons"]]
    points = [p for p in study["points"] if p.get("instructions") and p.get("accuracy") is not None]
    drawing = _plane(study, points) if points else join()
    head = (f"{study['trials']:,} candidates on {targets.load(study['target']).name}, {study['within_limits']:,} "
            f"within the limits and trained, in {study['seconds'] / 60:.1f} minutes (space {study['space']}, strategy "
            f"{study['strategy']}). Gray: validation accuracy of a short training, which the search goes by. "
            "Colored: the nets of the front, trained in full, on the test set.")
    return section("Accuracy against work", reasons, drawing, _table(study) if study["front"] else None, note=head)


def _plane(study: Json, points: list[Json]) -> Markup:
    found = study["front"]
    x = Axis.around("instructions an inference", [r["instructions"] for r in (*points, *found)], log=True)
    y = Axis.around("accuracy", [r["accuracy"] for r in (*points, *found)], percent=True)
    plane = Plane(x, y)
    tried = [plane.point(p["instructions"], p["accuracy"], f"trial {p['trial']}: {p['accuracy']:.1%} (validation), "
                         f"{p['instructions']:,} instructions, {size(p['ram_bytes'])} RAM", "faint") for p in points]
    best = sorted((f["instructions"], f["accuracy"]) for f in found)
    line = plane.curve(best, "front") if len(best) > 1 else None
    stars = [plane.point(f["instructions"], f["accuracy"], f"{f['net']}: {f['accuracy']:.1%} (test), "
                         f"{f['instructions']:,} instructions, {size(f['ram'])} RAM", "best") for f in found]
    return tag("div", plane.draw("accuracy against instructions", tried, line, stars), class_="scroll")


def _table(study: Json) -> Markup:
    numbers = ("test", "validation", "RAM B", "flash B", "instructions", "ms", "µJ")
    columns = [("net", "text"), *((name, "number") for name in numbers)]
    rows = [[f["net"], (f"{f['accuracy']:.1%}", f["accuracy"]), (f"{f['val_accuracy']:.1%}", f["val_accuracy"]),
             f["ram"], f["flash"], f["instructions"], (number(f["latency_ms"]), f["latency_ms"]),
             (number(f["energy_uj"]), f["energy_uj"])] for f in study["front"]]
    return table(columns, rows)
