"""What quantization and the device cost in accuracy, which classes are taken for which, and what that looks like."""

from __future__ import annotations

from .... import targets
from ..markup import Child, Markup, join, section, tag
from ..runs import Model
from .examples import examples

NAMED = 12  # classes, above which columns are numbered
DEEPEST = 0.38  # of a cell's color, so that its number stays readable


def accuracy(model: Model, tested: int | None) -> Markup:
    """Ladder, confusion matrix and examples of a net that was built."""
    if model.result is None:
        return join()
    return join(_ladder(model, tested), _confusion(model), _classes(model), examples(model))


def _ladder(model: Model, tested: int | None) -> Markup:
    result = model.result or {}
    steps = [("float", result["accuracy"]["float"], "the trained net"),
             ("int8", result["accuracy"]["int8"], "the interpreter, which every engine equals")]
    for d in result["device"]:
        same = "every output equal" if d["differ"] == 0 else f"{d['differ']:,} outputs differ"
        steps.append((targets.load(d["target"]).name, d["accuracy"],
                      f"firmware, emulated, {d['samples']:,} samples; {same}"))
    first = steps[0][1]
    rows = []
    for name, value, about in steps:
        points = 100 * (value - first)
        change = "" if value == first else f"{points:+.1f} points"
        rows.append(tag("div", tag("dt", name), tag(
            "dd", tag("span", tag("i", style=f"width:{value:.2%}"), class_="meter"),
            tag("span", tag("b", f"{value:.1%}"), " ", tag("span", change, class_="dim")),
            tag("span", about, class_="dim about"))))
    note = f"On the test set{f' ({tested:,} samples)' if tested else ''}, which was read once, by the final report."
    balanced = result.get("balanced_accuracy")
    if balanced is not None and result.get("confusion"):
        note += f" Balanced, the mean of the classes' recalls: {balanced:.1%} in int8."
    beside = [f"{name} {value:.1%}" for name, value in result.get("details", {}).items()]
    beside += [f"{name} {value:.4g}, chosen on validation" for name, value in result.get("settings", {}).items()]
    note += f" The int8 net beside it: {'; '.join(beside)}." if beside else ""
    metric = str(result.get("metric", "accuracy"))
    return section(metric[:1].upper() + metric[1:], tag("dl", rows, class_="ladder"), note=note)


def _classes(model: Model) -> Markup:
    """What is right of each class, where no answer is a class."""
    result = model.result or {}
    if result.get("confusion") or not result.get("recall_int8"):
        return join()
    rows = [tag("div", tag("dt", name), tag("dd", tag("span", tag("i", style=f"width:{value:.2%}"), class_="meter"),
                                            tag("span", tag("b", f"{value:.1%}"))))
            for name, value in zip(result["classes"], result["recall_int8"], strict=True) if value is not None]
    return section("What is right of each class", tag("dl", rows, class_="ladder"),
                   note="Of the test set, by the int8 net.")


def _confusion(model: Model) -> Markup:
    result = model.result or {}
    counts, names = result.get("confusion"), result.get("classes")
    if not counts or not names:
        return join()
    short = len(names) > NAMED
    head = [tag("th", k if short else name, scope="col", title=name) for k, name in enumerate(names)]
    body = []
    for k, (name, row) in enumerate(zip(names, counts, strict=True)):
        total = sum(row)
        cells: list[Child] = []
        for j, n in enumerate(row):
            share = n / total if total else 0
            kind = "right" if k == j else "wrong"
            tip = f"{name}: {n:,} of {total:,} answered {names[j]} ({share:.1%})"
            depth = DEEPEST * (share if k == j else share**0.5)
            cells.append(tag("td", n or "", class_=kind if n else None, style=f"--a:{depth:.3f}" if n else None,
                             data_tip=tip if n else None))
        recall = f"{row[k] / total:.0%}" if total else "–"
        label = f"{k} {name}" if short else name
        body.append(tag("tr", tag("th", label, scope="row"), cells, tag("td", recall, class_="recall")))
    long = not short and max(len(n) for n in names) > 4
    inner = tag("table", tag("thead", tag("tr", tag("td", tag("span", "is ↓  said →", class_="dim")), head,
                                          tag("th", "recall", scope="col"))),
                tag("tbody", body), class_="confusion" + (" long" if long else ""))
    tested = sum(map(sum, counts))
    wrong = tested - sum(row[k] for k, row in enumerate(counts))
    note = (f"Rows are what the test samples are, columns what the int8 model said; {wrong:,} of {tested:,} are "
            "wrong.")
    return section("Which classes are taken for which", tag("div", inner, class_="scroll"), note=note)
