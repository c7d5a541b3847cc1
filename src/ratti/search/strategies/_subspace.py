"""Which input and width make the best use of the memory: the first half of TinyNAS.

Lin et al. 2020, "MCUNet: Tiny Deep Learning on IoT Devices", section 3.1: of the nets of each (resolution, width) that
meet the limits, the more they compute the better, since a net that computes more at the same memory is more accurate.
Where the paper counts operations, this takes work as it was measured on the target.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..spaces.base import INPUT, WIDTH, Value

if TYPE_CHECKING:
    from ..study import Search

NOTE = "subspace"
DRAWN = 60  # nets of each subspace, of which those that are not hopeless are measured
LEAST_SHARE = 0.1  # of the drawn nets that must not be hopeless


def chosen(search: Search) -> dict[str, Value]:
    """The input and width to search in; kept in the study, so that a resumed search stays with them."""
    noted = search.noted(NOTE)
    if noted is None:
        noted = _choose(search)
        search.note(NOTE, noted)
    fixed: dict[str, Value] = noted["fixed"]
    return fixed


def _choose(search: Search) -> dict[str, Any]:
    space = search.space
    keys = [k for k in (INPUT, WIDTH) if k in space.options]
    each = int(np.clip(search.left / 120, 2, 8))  # nets measured of a subspace: more where there is time
    wanted = []
    for values in product(*(space.options[k] for k in keys)):
        fixed = dict(zip(keys, values, strict=True))
        rng = np.random.default_rng([search.seed, *(space.options[k].index(v) for k, v in fixed.items())])
        part = space.narrowed(**fixed)
        drawn = [c for c in (part.sample(rng) for _ in range(DRAWN)) if not search.hopeless(c)]
        if len(drawn) >= LEAST_SHARE * DRAWN:
            wanted.append((fixed, drawn[:each]))
    if not wanted:  # the limits are tight: the least of each
        return {"fixed": {k: space.options[k][0] for k in keys}, "subspaces": []}
    outcomes = iter(search.measure([c for _, drawn in wanted for c in drawn], each))
    rows: list[dict[str, Any]] = []
    for fixed, drawn in wanted:
        found = [next(outcomes) for _ in drawn]
        work = sorted(o.cost.work for o in found if o.fits and o.cost is not None)
        rows.append({"fixed": fixed, "fit": len(work) / len(drawn), "work": work,
                     "mean_work": float(np.mean(work)) if work else 0.0})
    best = max(rows, key=lambda r: (r["fit"] >= 0.25, r["mean_work"]))
    if not best["work"]:
        best = {"fixed": {k: space.options[k][0] for k in keys}}
    search.say(f"subspace {best['fixed']}: its nets use the limits best, of {len(rows)}")
    return {"fixed": best["fixed"], "subspaces": rows}
