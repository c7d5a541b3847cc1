"""The limits of a search. They are hard: nothing that breaks one is returned."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InputError
from .cost import Cost

UNITS = {"ram": "B", "flash": "B", "latency": "ms", "energy": "µJ", "instructions": "instructions"}


@dataclass(frozen=True)
class Budget:
    """What a net may take: bytes of RAM and flash, and of time and energy where they are limited."""

    ram: int
    flash: int
    latency: float | None = None  # ms, at the slow end
    energy: float | None = None  # µJ
    instructions: int | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"the limit on {name} is {value}; it must be above 0 (leave it out for no limit)")

    def excess(self, cost: Cost) -> dict[str, float]:
        """By limit that there is: how far the cost is over it, as a share of it; below 0 where it holds.

        InputError where the target has no figure to hold against a limit.
        """
        figures: Mapping[str, float | None] = {
            "ram": cost.ram_bytes, "flash": cost.flash_bytes, "latency": cost.latency_ms, "energy": cost.energy_uj,
            "instructions": cost.instructions,
        }
        found = {}
        for name, limit in vars(self).items():
            figure = figures[name]
            if limit is None:
                continue
            if figure is None:
                raise InputError(f"this target has no figure of {name} to hold against the limit (no source was read: "
                                 f"ratti check says why); limit the work with --max-instructions instead")
            found[name] = figure / limit - 1
        return found

    def used(self, cost: Cost) -> float | None:
        """The share of the limit on time, energy or instructions that a net uses; of several the largest. None where
        only memory is limited.
        """
        shares = [1 + e for name, e in self.excess(cost).items() if name in ("latency", "energy", "instructions")]
        return max(shares, default=None)

    def excess_of_floor(self, ram: int, flash: int) -> dict[str, float]:
        """The same for a net of which only the least RAM and flash are known; those limits alone."""
        return {"ram": ram / self.ram - 1, "flash": flash / self.flash - 1}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:,g} {UNITS[name]}" for name, value in vars(self).items() if value is not None)


def broken(excess: Mapping[str, float]) -> list[str]:
    """Names of the limits that do not hold."""
    return [name for name, share in excess.items() if share > 0]
