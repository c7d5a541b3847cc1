"""Energy and battery life at a duty cycle that the reader chooses."""

from __future__ import annotations

from .... import targets
from ....duty import Duty, Life, average_mw, life_hours
from ..markup import Markup, join, number, section, tag
from ..runs import Json
from .verdict import totals

PER_HOUR, MAH, VOLTS, REST_UA = 60, 1000, 3.0, 0
HOURS_A_DAY = 24.0


def energy(check: Json, result: Json | None = None) -> Markup:
    """The figures, the sliders and the arithmetic, at the duty cycle of the recipe where `result` has one.

    Where the device's power has no source: the reason, if a duty cycle was asked for, and else nothing.
    """
    device, sums = targets.load(check["target"]), totals(check)
    asked = (result or {}).get("duty")
    duty = None if asked is None else Duty(**asked)
    lives = [Life(**life) for life in (result or {}).get("battery", ())]
    known = next((life for life in lives if life.target == device.id), None)
    one = known.energy_uj if known is not None else None if device.active_mw is None else sums["energy_uj"]
    if one is None or not sums["latency_range_ms"]:
        return join() if known is None else section("Energy and battery life", note=f"{duty}: {known.about}.")
    low, high = sums["latency_range_ms"]
    milliseconds = high if high is not None else low
    most = max(int(3_600_000 / milliseconds), 1)
    mah, volts, rest = (MAH, VOLTS, REST_UA) if duty is None else (duty.mah, duty.volts, duty.rest_ua)
    rate = min(PER_HOUR if duty is None else duty.per_hour, most)
    days = life_hours(one, rate, mah, volts, rest) / HOURS_A_DAY
    controls = tag(
        "div",
        _slider("inferences an hour", "rate", rate, most),
        _field("battery, mAh", "mah", mah), _field("battery, V", "volts", volts),
        _field("at rest, µA", "rest", rest), class_="controls",
    )
    mean = average_mw(one, rate, rest, volts)
    answer = tag("p", tag("output", f"{number(days)} days", class_="life"), tag("output", tag("span", (
        f"{number(one)} µJ × {number(rate)} / 3600 s + {number(rest)} µA × {volts:g} V = {number(mean * 1000)} µW; "
        f"{number(mah)} mAh × {volts:g} V / {number(mean * 1000)} µW")), class_="sum"), class_="answer")
    about = (f"{known.about}. " if known is not None else
             f"{device.active_mw:g} mW × {number(milliseconds)} ms. Power: {device.source('active_mw')}. ")
    note = (f"One inference: {number(one)} µJ, estimated: {about}It is the core at work: no sensor, no radio, no "
            "regulator. What the part draws at rest is yours to fill in.")
    inner = tag("div", controls, answer, class_="battery", data_energy=repr(float(one)), data_most=most)
    return section("Energy and battery life", inner, note=note)


def _slider(label: str, name: str, value: float, most: int) -> Markup:
    return tag("label", tag("span", label, " ", tag("b", number(value), class_="shown")),
               tag("input", type="range", name=name, min=0, max=1000, step=1, data_value=value, aria_label=label,
                   aria_valuetext=number(value)), class_="slider", data_most=most)


def _field(label: str, name: str, value: float) -> Markup:
    return tag("label", tag("span", label), tag("input", type="number", name=name, value=value, min=0, step="any"))
