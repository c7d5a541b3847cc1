"""Which input and width make the best use of the memory: the first half of TinyNAS.

Lin et al. 2020, "MCUNet: Tiny Deep Learning on IoT Devices", section 3.1: of the nets of each (resolution, width) that
meet the limits, the more they compute the better, since a net that computes more at the same memory is more accurate.
Where the paper counts operations, this takes work as it was measured on the target.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..spaces import Choice, Space
from ..spaces.base import INPUT, WIDTH, Value

if TYPE_CHECKING:
    from ..study import Search

NOTE = "subspace"
SHARE = 0.2  # of the time that is left
DRAWN = 40  # nets of each subspace, of which those that are not hopeless are measured
LEAST_SHARE = 0.1  # of the drawn nets that must not be hopeless
FIT = 0.25  # of the measured nets that must be within the limits


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
            work = sorted(o.cost.work for o in found if o.fits and o.cost is not None)
            rows.append({"fixed": fixed, "fit": len(work) / len(drawn), "work": work,
                         "mean_work": float(np.mean(work)) if work else 0.0})
            if rows[-1]["fit"] >= FIT or late():
                break
        if late():
            break
    best = max(rows, key=lambda r: (r["fit"] >= FIT, r["mean_work"]), default={"work": ()})
    if not best["work"]:  # the limits are tight: the least of each
        return {"fixed": {k: space.options[k][0] for k in (INPUT, WIDTH)}, "subspaces": rows}
    search.say(f"subspace {best['fixed']}: its nets use the limits best, of {len(rows)} that were measured")
    return {"fixed": best["fixed"], "subspaces": rows}


def _drawn(search: Search, part: Space, fixed: dict[str, Value]) -> list[Choice]:
    """Nets of a subspace that are not hopeless; none where nearly all of them are."""
    rng = np.random.default_rng([search.seed, *(search.space.options[k].index(v) for k, v in fixed.items())])
    found: list[Choice] = [c for c in (part.sample(rng) for _ in range(DRAWN)) if not search.hopeless(c)]
    return found if len(found) >= LEAST_SHARE * DRAWN else []
