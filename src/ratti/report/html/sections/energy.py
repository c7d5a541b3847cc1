"""Energy and battery life at a duty cycle that the reader chooses."""

from __future__ import annotations

from .... import targets
from ..markup import Markup, join, number, section, tag
from ..runs import Json
from .verdict import totals

PER_HOUR, MAH, VOLTS, REST_UA = 60, 1000, 3.0, 0
HOURS_A_DAY = 24.0


def average_mw(energy_uj: float, per_hour: float, rest_ua: float, volts: float) -> float:
    """Mean power: µJ an inference, inferences an hour, current at rest."""
    return energy_uj * per_hour / 3600 / 1000 + rest_ua * volts / 1000


def life_hours(energy_uj: float, per_hour: float, mah: float, volts: float, rest_ua: float = 0) -> float:
    """How long a battery of `mah` at `volts` lasts; the same arithmetic runs in the page."""
    return mah * volts / average_mw(energy_uj, per_hour, rest_ua, volts)


def energy(check: Json) -> Markup:
    """The figures, the sliders and the arithmetic; nothing where the device's power has no source."""
    device, sums = targets.load(check["target"]), totals(check)
    one = sums["energy_uj"]
    if one is None or device.active_mw is None or not sums["latency_range_ms"]:
        return join()
    low, high = sums["latency_range_ms"]
    milliseconds = high if high is not None else low
    most = max(int(3_600_000 / milliseconds), 1)
    rate = min(PER_HOUR, most)
    days = life_hours(one, rate, MAH, VOLTS, REST_UA) / HOURS_A_DAY
    controls = tag(
        "div",
        _slider("inferences an hour", "rate", rate, most),
        _field("battery, mAh", "mah", MAH), _field("battery, V", "volts", VOLTS),
        _field("at rest, µA", "rest", REST_UA), class_="controls",
    )
    mean = average_mw(one, rate, REST_UA, VOLTS)
    answer = tag("p", tag("output", f"{number(days)} days", class_="life"), tag("output", tag("span", (
        f"{number(one)} µJ × {rate:,} / 3600 s + {REST_UA} µA × {VOLTS:g} V = {number(mean * 1000)} µW; "
        f"{MAH:,} mAh × {VOLTS:g} V / {number(mean * 1000)} µW")), class_="sum"), class_="answer")
    note = (f"One inference: {device.active_mw:g} mW × {number(milliseconds)} ms = {number(one)} µJ, estimated. Power: "
            f"{device.source('active_mw')}. It is the core at work: no sensor, no radio, no regulator. What the part "
            "draws at rest is yours to fill in.")
    inner = tag("div", controls, answer, class_="battery", data_energy=repr(float(one)), data_most=most)
    return section("Energy and battery life", inner, note=note)


def _slider(label: str, name: str, value: int, most: int) -> Markup:
    return tag("label", tag("span", label, " ", tag("b", f"{value:,}", class_="shown")),
               tag("input", type="range", name=name, min=0, max=1000, step=1, data_value=value, aria_label=label,
                   aria_valuetext=f"{value:,}"), class_="slider", data_most=most)


def _field(label: str, name: str, value: float) -> Markup:
    return tag("label", tag("span", label), tag("input", type="number", name=name, value=value, min=0, step="any"))
