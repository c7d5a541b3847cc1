"""What a basic block costs on a core: one file a core, found by the core's name.

A core with a table that somebody could cite defines `SOURCE` and `price(instructions)`; one without defines `REASON`,
the sentence that stands where its cycles would.

A price has two ends. Low: every range in the table at its minimum, no wait states. High: every range at its maximum;
the waiting for flash that the emulator counts (flashcache.h) is added to it.

Only the worker imports the tables: they read instructions as capstone decodes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

from ... import registry


@dataclass(frozen=True)
class Price:
    """Cycles of one run through a block that falls through at its end, and what a taken branch there adds."""

    low: int
    high: int
    taken_low: int = 0
    taken_high: int = 0


def table(core: str) -> ModuleType:
    """The module of the core `core`; an unknown core is an InputError."""
    return registry.load(__name__, core)


def total(cells: Iterable[tuple[Price, int, int]]) -> tuple[int, int]:
    """Cycles (low, high) of blocks given as (price, times, times that the branch was not taken)."""
    low = high = 0
    for price, times, falls in cells:
        low += price.low * times + price.taken_low * (times - falls)
        high += price.high * times + price.taken_high * (times - falls)
    return low, high
