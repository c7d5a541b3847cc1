"""Which input and width make the best use of the memory: the first half of TinyNAS.

Lin et al. 2020, "MCUNet: Tiny Deep Learning on IoT Devices", section 3.1: of the nets of each (resolution, width) that
meet the limits, the more they compute the better, since a net that computes more at the same memory is more accurate.
Where the paper counts operations, this takes work as it was measured on the target. Work is not all: on photos of
leaves, nets for 64 x 64 pixels learned faster than nets for 32 x 32 with twice their work. So the best of each input
are trained for the same few seconds, where there are some, and the one that learns fastest is taken.
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
SHARE = 0.3  # of the time that is left
DRAWN = 40  # nets of each subspace, of which those that are not hopeless are measured
LEAST_SHARE = 0.1  # of the drawn nets that must not be hopeless
FIT = 0.25  # of the measured nets that must be within the limits
RIVAL = 0.25  # of the most work: subspaces below it are not tried
PROBES = 2  # nets of each
PROBE_EPOCHS = 2  # of the fastest at least
SPARE = 0.8  # of the time, since training does not keep its pace exactly


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
            why = f"its nets learn fastest ({best['accuracy']:.1%} after {best['probe_seconds']:.0f} s)"
    search.say(f"subspace {best['fixed']}: {why}, of {len(rows)} that were measured")
    return {"fixed": best["fixed"], "subspaces": _told(rows)}


def _tried(search: Search, rivals: list[dict[str, Any]], until: float) -> bool:
    """Trains `PROBES` nets of each rival, all for the same time; False where there is too little of it. Their mean
    accuracy becomes the rival's own.
    """
    least = min(r["work"][-1] for r in rivals)
    probes = [sorted(zip(r["work"], r["nets"], strict=True), key=lambda f: abs(math.log(f[0] / least)))[:PROBES]
              for r in rivals]  # of about the same work
    tasks = [Pace(choice) for some in probes for _, choice in some]
    paces = search.pool.map(tasks)
    seconds = (until - time.monotonic()) * search.pool.size / len(tasks) * SPARE
    if seconds < PROBE_EPOCHS * min(paces):
        return False
    outcomes = search.pool.map([Evaluate(t.choice, search.seed, epochs=max(round(seconds / p), 1))
                                for t, p in zip(tasks, paces, strict=True)])
    for row, some in zip(rivals, probes, strict=True):
        own = [outcomes.pop(0) for _ in some]
        row["accuracy"] = float(np.mean([o.accuracy for o in own]))
        row["probe_seconds"] = seconds
    return True


def _told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "nets"} for row in rows]


def _drawn(search: Search, part: Space, fixed: dict[str, Value]) -> list[Choice]:
    """Nets of a subspace that are not hopeless; none where nearly all of them are."""
    rng = np.random.default_rng([search.seed, *(search.space.options[k].index(v) for k, v in fixed.items())])
    found: list[Choice] = [c for c in (part.sample(rng) for _ in range(DRAWN)) if not search.hopeless(c)]
    return found if len(found) >= LEAST_SHARE * DRAWN else []
