"""Battery life at a duty cycle: the arithmetic, and a reason wherever a figure is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ratti import recipe, targets
from ratti.duty import Duty
from ratti.errors import InputError

PART = targets.load("stm32u575")  # its power has a source
OTHER = targets.load("rp2040")


def test_life_by_hand() -> None:
    # 3,600 µJ once an hour is 1 µW; 1 µA at 1 V is another: 1 mAh at 1 V lasts 500 h.
    life = Duty("1h", "1 mAh", 1.0, "1 uA").life(PART, 3600.0, (100.0, 150.0), {})
    assert life.hours == pytest.approx(500) and life.average_uw == pytest.approx(2)
    assert life.energy_uj == 3600 and life.how == "estimated" and life.words == "21 days"
    assert "23 mW" in life.about and "at rest 1 uA" in life.about


def test_a_current_of_your_own_takes_the_place_of_the_parts_power() -> None:
    life = Duty("10 min", "2400 mAh", 3.0, active="20 mA").life(OTHER, None, (50.0, None), {})
    assert life.energy_uj == pytest.approx(20 * 3 * 50)
    assert "lower bound" in life.about and "rest is not counted" in life.about
    assert life.hours == pytest.approx(2400 * 3 / (life.energy_uj * 6 / 3600 / 1000))


@pytest.mark.parametrize("duty, energy, latency, reason", [
    (Duty("10 min", "1 Ah"), None, None, "no time: not priced"),
    (Duty("10 min", "1 Ah"), None, (1.0, 2.0), "no power: no source; measure"),
    (Duty("1 s", "1 Ah"), 5.0, (500.0, 1500.0), "takes 1.5 s, which is longer than 1 s"),
])
def test_no_figure_without_a_reason(duty: Duty, energy: float | None, latency: tuple[float, float] | None,
                                    reason: str) -> None:
    life = duty.life(OTHER, energy, latency, {"latency": "not priced", "energy": "no source"})
    assert life.hours is None and life.average_uw is None and life.how == "absent" and reason in life.about
    assert life.words == "no figure"


def test_words() -> None:
    by_load = {e: Duty("1h", "1 mAh", 1.0).life(PART, e, (1.0, 1.0), {}).words for e in (1e6, 36000, 180, 1.0)}
    assert list(by_load.values()) == ["3.6 hours", "4 days", "2.3 years",
                                      "more than 10 years (the cell's own discharge decides)"]


@pytest.mark.parametrize("text, message", [
    ("{every: soon, battery: 1 Ah}", "'soon' is not a duration"),
    ("{every: 1h, battery: 3 V}", "'3 V' is not a battery"),
    ("{every: 1h, battery: 1 Ah, rest: 2 mAh}", "'2 mAh' is not a current"),
    ("{every: 1h, battery: 1 Ah, volts: 0}", "volts is 0.0"),
    ("{every: 1h}", "'battery' is missing"),
    ("{every: 1h, battery: 1 Ah, often: 2}", "unknown key 'often'"),
    ("12", "must be a mapping"),
])
def test_a_recipe_with_a_wrong_duty(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"name: a\ndata: digits\nmodels: [{{net: micro-1.0-8, targets: [rp2040]}}]\nduty: {text}\n")
    with pytest.raises(InputError, match=message):
        recipe.read(path)


def test_a_duty_survives_its_recipe(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: a\ndata: digits\nmodels: [{net: micro-1.0-8, targets: [rp2040]}]\n"
                    "duty: {every: 10 min, battery: 2400 mAh, rest: 5 uA}\n")
    first = recipe.read(path)
    path.write_text(first.to_yaml())
    assert recipe.read(path) == first and first.duty == Duty("10 min", "2400 mAh", rest="5 uA")
