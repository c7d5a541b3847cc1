"""A net that uses the time it is given: grown from a good one, step by step, as measured.

Options of single choices are made one larger, and near the limit one is made larger while another is made smaller; of
the nets within the limits that this gives, the one that uses most of the time is grown further.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..spaces import Choice, Space
from ..spaces.base import Value

if TYPE_CHECKING:
    from ..study import Search

NEAR = 0.05  # of the limit: a net there uses its time
ROUNDS = 10
DRAWN = 8  # nets measured in a round
CLOSE = 0.8  # of the limit, from where steps are also taken back


def is_near(used: float | None) -> bool:
    """Whether a net uses its time; true where time is not limited."""
    return used is None or used >= 1 - NEAR


def grown(search: Search, space: Space, choice: Choice, used: float) -> Choice:
    """A net of `space` that is near the limit, or as near as the rounds and the time allow; `used` is the share that
    `choice` uses.
    """
    rng = search.rng()
    for _ in range(ROUNDS):
        if is_near(used) or search.left <= 0:
            break
        drawn = _steps(search, space, choice, used, rng)
        for step, outcome in zip(drawn, search.measure(drawn, -(-DRAWN // search.pool.size)), strict=True):
            share = search.budget.used(outcome.cost) if outcome.fits and outcome.cost is not None else None
            if share is not None and share > used:
                choice, used = step, share
    return choice


def _steps(search: Search, space: Space, choice: Choice, used: float, rng: np.random.Generator) -> list[Choice]:
    """Different nets next to `choice`, larger by one option."""
    up = [k for k, v in space.options.items() if choice[k] != v[-1]]
    down = [k for k, v in space.options.items() if choice[k] != v[0]]
    found: dict[tuple[Value, ...], Choice] = {}
    for _ in range(10 * DRAWN):
        if not up or len(found) == DRAWN:
            break
        step = dict(choice)
        _move(space, step, str(rng.choice(up)), 1)
        if used > CLOSE and down and rng.random() < 0.5:
            _move(space, step, str(rng.choice(down)), -1)
        if step != choice and not search.hopeless(step):
            found[tuple(step.values())] = step
    return list(found.values())


def _move(space: Space, choice: dict[str, Value], key: str, by: int) -> None:
    options = space.options[key]
    choice[key] = options[min(max(options.index(choice[key]) + by, 0), len(options) - 1)]
