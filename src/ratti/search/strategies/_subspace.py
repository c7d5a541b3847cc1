"""Which input and width make the best use of the memory: the first half of TinyNAS.

Lin et al. 2020, "MCUNet: Tiny Deep Learning on IoT Devices", section 3.1: of the nets of each (resolution, width) that
meet the limits, the more they compute the better, since a net that computes more at the same memory is more accurate.
Where the paper counts operations, this takes work as it was measured on the target. Work is not all: on photos of
leaves, nets for 64 x 64 pixels learned faster than nets for 32 x 32 with twice their work. So the best of each input
are trained for a moment, where there is time, and the one that learns fastest is taken.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bench import Evaluate, Pace
from ..spaces import Choice, Space
from ..spaces.base import INPUT, WIDTH, Value

if TYPE_CHECKING:
    from ..study import Search

NOTE = "subspace"
SHARE = 0.2  # of the time that is left
DRAWN = 40  # nets of each subspace, of which those that are not hopeless are measured
LEAST_SHARE = 0.1  # of the drawn nets that must not be hopeless
FIT = 0.25  # of the measured nets that must be within the limits
RIVAL = 0.25  # of the most work: subspaces below it are not tried
PROBE_EPOCHS = 2


def chosen(search: Search) -> dict[str, Value]:
    """The input and width to search in; kept in the study, so that a resumed search stays with them."""
    noted = search.noted(NOTE)
    if noted is None:
        noted = _choose(search)
        search.note(NOTE, noted)
    fixed: dict[str, Value] = noted["fixed"]
    return fixed


def _choose(search: Search) -> dict[str, Any]:
    """For each input the widest nets that fit: narrower ones compute less. Those of all inputs are compared."""
    space = search.space
    until = time.monotonic() + search.left * SHARE
    each = int(np.clip(search.left / 120, 2, 8))  # nets measured of a subspace: more where there is time
    rows: list[dict[str, Any]] = []

    def late() -> bool:
        return time.monotonic() > until and any(r["work"] for r in rows)

    for size in reversed(space.options[INPUT]):
        for width in reversed(space.options[WIDTH]):
            fixed: dict[str, Value] = {INPUT: size, WIDTH: width}
            drawn = _drawn(search, space.narrowed(**fixed), fixed)[:each]
            if not drawn:
                continue
            found = search.measure(drawn, max(1, math.ceil(len(drawn) / search.pool.size)))
            fit = sorted(((o.cost.work, c) for o, c in zip(found, drawn, strict=True) if o.fits and o.cost is not None),
                         key=lambda f: f[0])
            work = [w for w, _ in fit]
            rows.append({"fixed": fixed, "fit": len(work) / len(drawn), "work": work,
                         "mean_work": float(np.mean(work)) if work else 0.0, "nets": [c for _, c in fit]})
            if rows[-1]["fit"] >= FIT or late():
                break
        if late():
            break
    best: dict[str, Any] = max(rows, key=lambda r: (r["fit"] >= FIT, r["mean_work"]), default={"work": ()})
    if not best["work"]:  # the limits are tight: the least of each
        return {"fixed": {k: space.options[k][0] for k in (INPUT, WIDTH)}, "subspaces": _told(rows)}
    why = "its nets use the limits best"
    if best["fit"] >= FIT:
        rivals = [r for r in rows if r["fit"] >= FIT and r["mean_work"] >= RIVAL * best["mean_work"]]
        if len(rivals) > 1 and _tried(search, rivals, until):
            best = max(rivals, key=lambda r: r["accuracy"])
            why = f"its nets learn fastest ({best['accuracy']:.1%} after {PROBE_EPOCHS} epochs)"
    search.say(f"subspace {best['fixed']}: {why}, of {len(rows)} that were measured")
    return {"fixed": best["fixed"], "subspaces": _told(rows)}


def _tried(search: Search, rivals: list[dict[str, Any]], until: float) -> bool:
    """Trains the nets of rivals with about the same work for a moment, as many of each as there is time for; False
    where there is none. Their mean accuracy becomes the rivals' own.
    """
    least = min(r["work"][-1] for r in rivals)
    for row in rivals:
        row["probes"] = sorted(row["nets"], key=lambda c: abs(math.log(row["work"][row["nets"].index(c)] / least)))
    paces = search.pool.map([Pace(r["probes"][0]) for r in rivals])
    seconds = sum(paces) * PROBE_EPOCHS / min(search.pool.size, len(rivals))
    found: list[list[float]] = [[] for _ in rivals]
    for k in range(min(len(r["probes"]) for r in rivals)):
        if time.monotonic() + seconds > until:
            break
        start = time.monotonic()
        tasks = [Evaluate(r["probes"][k], search.seed, epochs=PROBE_EPOCHS) for r in rivals]
        for accuracies, outcome in zip(found, search.pool.map(tasks), strict=True):
            accuracies.append(outcome.accuracy)
        seconds = time.monotonic() - start
    for row, accuracies in zip(rivals, found, strict=True):
        row["accuracy"] = float(np.mean(accuracies)) if accuracies else 0.0
    return bool(found[0])


def _told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in ("nets", "probes")} for row in rows]


def _drawn(search: Search, part: Space, fixed: dict[str, Value]) -> list[Choice]:
    """Nets of a subspace that are not hopeless; none where nearly all of them are."""
    rng = np.random.default_rng([search.seed, *(search.space.options[k].index(v) for k, v in fixed.items())])
    found: list[Choice] = [c for c in (part.sample(rng) for _ in range(DRAWN)) if not search.hopeless(c)]
    return found if len(found) >= LEAST_SHARE * DRAWN else []
