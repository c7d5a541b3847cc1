"""How often a device works and from which battery: what one inference takes, and how long the battery lasts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .targets import Target
from .types import How
from .units import milliamp_hours, milliamps, seconds

HOURS_A_YEAR = 24 * 365.25
OWN_DISCHARGE = 10 * HOURS_A_YEAR  # beyond it the cell's own discharge decides, not the load


def average_mw(energy_uj: float, per_hour: float, rest_ua: float, volts: float) -> float:
    """Mean power: µJ an inference, inferences an hour, current at rest."""
    return energy_uj * per_hour / 3600 / 1000 + rest_ua * volts / 1000


def life_hours(energy_uj: float, per_hour: float, mah: float, volts: float, rest_ua: float = 0) -> float:
    """How long a battery of `mah` at `volts` lasts; the same arithmetic runs in the page of a report."""
    return mah * volts / average_mw(energy_uj, per_hour, rest_ua, volts)


@dataclass(frozen=True)
class Duty:
    """One inference `every` "10 min" from a `battery` of "2400 mAh" at `volts`.

    `rest` is what the board draws between two inferences ("5 uA"); None: not counted. `active` is what it draws while
    it computes ("24 mA"), by your own meter; it takes the place of the part's power figure, which few parts have.
    """

    every: str
    battery: str
    volts: float = 3.0
    rest: str | None = None
    active: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.volts < 100:
            raise ValueError(f"volts is {self.volts}; it must be above 0 and below 100")
        for value in (self.every_seconds, self.mah, self.rest_ua, self.active_ma):
            assert value is None or value >= 0

    @property
    def every_seconds(self) -> float:
        return seconds(self.every)

    @property
    def per_hour(self) -> float:
        return 3600 / self.every_seconds

    @property
    def mah(self) -> float:
        return milliamp_hours(self.battery)

    @property
    def rest_ua(self) -> float:
        return 0.0 if self.rest is None else 1000 * milliamps(self.rest)

    @property
    def active_ma(self) -> float | None:
        return None if self.active is None else milliamps(self.active)

    def life(self, target: Target, energy_uj: float | None, latency_ms: tuple[float, float | None] | None,
             absent: Mapping[str, str]) -> Life:
        """On `target`, whose inference takes so much energy and time; `absent` says why one of them is None."""
        if latency_ms is None:
            return Life(target.id, None, None, None, How.ABSENT.value, f"no time: {absent.get('latency', 'not run')}")
        slow = latency_ms[0] if latency_ms[1] is None else latency_ms[1]
        about = f"{target.active_mw or 0:g} mW ({target.source('active_mw')}) × {slow:.3g} ms"
        if self.active_ma is not None:
            energy_uj = self.active_ma * self.volts * slow
            about = f"{self.active} (the recipe's own figure) × {self.volts:g} V × {slow:.3g} ms"
        if energy_uj is None:
            why = absent.get("energy", "no power figure")
            return Life(target.id, None, None, None, How.ABSENT.value,
                        f"no power: {why}; measure what your board draws and give `active` in the recipe's duty")
        if slow > 1000 * self.every_seconds:
            return Life(target.id, energy_uj, None, None, How.ABSENT.value,
                        f"an inference takes {slow / 1000:.3g} s, which is longer than {self.every}")
        mean = 1000 * average_mw(energy_uj, self.per_hour, self.rest_ua, self.volts)
        hours = life_hours(energy_uj, self.per_hour, self.mah, self.volts, self.rest_ua)
        open_end = "; the time is a lower bound" if latency_ms[1] is None else ""
        at_rest = f", at rest {self.rest}" if self.rest else "; what the board draws at rest is not counted"
        return Life(target.id, energy_uj, mean, hours, How.ESTIMATED.value, f"{about}{at_rest}{open_end}")

    def __str__(self) -> str:
        return f"one inference every {self.every} from {self.battery} at {self.volts:g} V"


@dataclass(frozen=True)
class Life:
    """Battery life on one device, by `how`; a figure without a source is None. `about`: whence, or why not."""

    target: str
    energy_uj: float | None  # of one inference, at the slow end of its time
    average_uw: float | None
    hours: float | None
    how: str
    about: str

    @property
    def words(self) -> str:
        """How long, for people."""
        if self.hours is None:
            return "no figure"
        if self.hours > OWN_DISCHARGE:
            return "more than 10 years (the cell's own discharge decides)"
        if self.hours >= 2 * HOURS_A_YEAR:
            return f"{self.hours / HOURS_A_YEAR:.1f} years"
        return f"{self.hours / 24:,.0f} days" if self.hours >= 48 else f"{self.hours:.1f} hours"

    def __str__(self) -> str:
        return f"{self.words}, {self.about}" if self.hours is None else f"{self.words} ({self.how}: {self.about})"

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))
