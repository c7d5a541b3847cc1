"""The tables of the compression study: paired differences with bootstrap intervals (see `compression.py`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import compression_devices as devices
import compression_results as results
import numpy as np
from compression_results import Chain

MARKS = ("<!-- tables -->", "<!-- end -->")
UNKNOWN = "not measured"
DRAWS = 2000
LEVEL = 95
KNOWN = "spoken, known speakers"  # the recordings' own split; "spoken": one speaker held out by turns
BEST = {"leaves": 95, "garments": 92, KNOWN: 98, "spoken": 85, "heartbeats": 80}  # percent


def accuracy(right: np.ndarray, labels: np.ndarray, balanced: bool) -> float:
    if not balanced:
        return float(right.mean())
    return float(np.mean([right[labels == c].mean() for c in np.unique(labels)]))


def paired(group: list[Chain], first: str, second: str) -> tuple[float, float, float]:
    """Mean of (second - first) in points over the chains of `group`, and its paired bootstrap interval: the samples of
    each test set are drawn again, the same for both steps; chains are drawn again too.
    """
    rng = np.random.default_rng(0)

    def difference(t: Chain, index: np.ndarray | None = None) -> float:
        rows = np.arange(len(t.labels)) if index is None else index
        values = [accuracy(t.right[s][rows], t.labels[rows], t.balanced) for s in (second, first)]
        return 100 * (values[0] - values[1])

    def draw() -> float:
        chosen = rng.integers(0, len(group), len(group))
        return float(np.mean([difference(group[k], rng.integers(0, len(group[k].labels), len(group[k].labels)))
                              for k in chosen]))

    draws = [draw() for _ in range(DRAWS)]
    low, high = np.percentile(draws, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return float(np.mean([difference(t) for t in group])), float(low), float(high)


def _holds(found: tuple[float, float, float], least: float) -> str:
    """A bound on a difference holds if the mean keeps it, or if it lies inside the interval."""
    mean, low, high = found
    return "yes" if mean >= least else "within the interval" if low <= least <= high else "no"


def _grouped(tested: list[Chain], needed: str) -> dict[tuple[str, str], list[Chain]]:
    groups: dict[tuple[str, str], list[Chain]] = defaultdict(list)
    for t in tested:
        if needed in t.right:
            known = t.data == "spoken" and not t.fold
            groups[KNOWN if known else t.data, t.net].append(t)
    return groups


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]


def _percent(group: list[Chain], step: str) -> str:
    values = [100 * accuracy(t.right[step], t.labels, t.balanced) for t in group]
    spread = f" ± {np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    return f"{np.mean(values):.1f}{spread}"


def _difference(found: tuple[float, float, float]) -> str:
    return f"{found[0]:+.2f} [{found[1]:+.2f}, {found[2]:+.2f}]"


def _runs(group: list[Chain]) -> str:
    return str(len(group))


def quantization(tested: list[Chain]) -> list[str]:
    rows = []
    for (data, net), group in _grouped(tested, "ptq").items():
        ptq, qat = paired(group, "float", "ptq"), paired(group, "float", "qat")
        rows.append([data, net, _runs(group), _percent(group, "float"), _percent(group, "ptq"), _percent(group, "qat"),
                     _difference(ptq), _holds(ptq, -0.5), _difference(qat), _holds(qat, -0.2)])
    head = ["data", "net", "runs", "float", "PTQ", "QAT", "PTQ - float", "≥ -0.5", "QAT - float", "≥ -0.2"]
    return ["## Quantization", "", *_table(head, rows)]


def pruning(tested: list[Chain]) -> list[str]:
    rows = []
    for (data, net), group in _grouped(tested, "pruned qat").items():
        cells = [data, net, _runs(group), _percent(group, "qat"), _percent(group, "pruned qat")]
        found = paired(group, "qat", "pruned qat")
        cells += [_difference(found), _holds(found, -1.0)]
        cells += [_share(group, target) for target in devices.TARGETS]
        rows.append(cells)
    head = ["data", "net", "runs", "whole", "pruned", "pruned - whole", "≥ -1", "instructions left, M4", "RV32IMC"]
    return ["## Structured pruning, both int8", "", *_table(head, rows)]


def _measured(group: list[Chain], steps: tuple[str, ...], target: str) -> list[list[dict[str, Any]]]:
    """The figures of every chain whose `steps` were all measured on a device, one for each step."""
    found = [[t.on(step, target) for step in steps] for t in group]
    return [figures for figures in found if all(figures)]


def _share(group: list[Chain], target: str) -> str:
    pairs = _measured(group, ("pruned qat", "qat"), target)
    return f"{np.mean([a['instructions'] / b['instructions'] for a, b in pairs]):.0%}" if pairs else UNKNOWN


def _saved(group: list[Chain], target: str) -> str:
    pairs = _measured(group, ("ptq", "sparse ptq"), target)
    if not pairs:
        return UNKNOWN
    dense, sparse = (np.mean([pair[k]["flash"] for pair in pairs]) for k in (0, 1))
    return f"{dense - sparse:,.0f} of {dense:,.0f}"


def _on_device(group: list[Chain], step: str, target: str) -> str:
    found = [f for (f,) in _measured(group, (step,), target)]
    kinds = ("instructions", "ram", "flash")
    return " / ".join(f"{np.mean([f[kind] for f in found]):,.0f}" for kind in kinds) if found else UNKNOWN


def sparsity(tested: list[Chain]) -> list[str]:
    rows = []
    for (data, net), group in _grouped(tested, "sparse ptq").items():
        found = paired(group, "ptq", "sparse ptq")
        cells = [data, net, _runs(group), _percent(group, "ptq"), _percent(group, "sparse ptq"), _difference(found),
                 _holds(found, -1.0)]
        rows.append([*cells, *(_saved(group, target) for target in devices.TARGETS)])
    head = ["data", "net", "runs", "PTQ", "80 % zeros, PTQ", "zeros - dense", "≥ -1", "M4: flash B saved", "RV32IMC"]
    return ["## Weight pruning", "", *_table(head, rows)]


def distillation(tested: list[Chain]) -> list[str]:
    rows = []
    for (data, net), group in _grouped(tested, "taught").items():
        found = paired(group, "alone", "taught")
        rows.append([data, net, _runs(group), *(_percent(group, s) for s in ("teacher", "alone", "taught")),
                     _difference(found), _holds(found, 1.0)])
    head = ["data", "student", "runs", "teacher", "alone", "taught", "taught - alone", "≥ +1"]
    return ["## Distillation", "", *_table(head, rows)]


def best(tested: list[Chain]) -> list[str]:
    rows = []
    for (data, _), group in _grouped(tested, "best int8").items():
        shares = [_percent(group, step) for step in ("teacher", "best", "best int8")]
        rows.append([data, _runs(group), *shares, f"≥ {BEST[data]}",
                     _on_device(group, "best int8", devices.TARGETS[0]),
                     _percent(group, "trees") if "trees" in group[0].right else ""])
    head = ["data", "runs", "chosen", "trained again", "int8", "goal", "M4: instructions / RAM B / flash B", "trees"]
    return ["## The best net of each set within 64 KB of RAM and 256 KB of flash", "", *_table(head, rows)]


def sizes(tested: list[Chain]) -> list[str]:
    rows = []
    for (data, net), group in _grouped(tested, "qat").items():
        stored = [f"{np.mean([t.step(step).bytes for t in group]):,.0f}" for step in ("float", "qat")]
        rows.append([data, net, *stored, *(_on_device(group, "qat", target) for target in devices.TARGETS)])
    head = ["data", "net", "float weights B", "int8 file B", "M4: instructions / RAM B / flash B", "RV32IMC"]
    return ["## Sizes", "", *_table(head, rows)]


SECTIONS: tuple[Callable[[list[Chain]], list[str]], ...] = (quantization, pruning, sparsity, distillation, best, sizes)


def show(kept: Path, document: Path | None) -> None:
    """Prints the tables; with a document they replace those between its marks."""
    tested = [results.read(path) for path in results.paths(kept)]
    if not tested:
        raise SystemExit(f"no finished chain under {kept}: `python benchmarks/compression.py run` makes them")
    text = "\n".join(line for section in SECTIONS for line in section(tested))
    print(text)
    if document is not None:
        before, _, rest = document.read_text().partition(MARKS[0])
        document.write_text(f"{before}{MARKS[0]}\n{text}\n{MARKS[1]}{rest.partition(MARKS[1])[2]}")
