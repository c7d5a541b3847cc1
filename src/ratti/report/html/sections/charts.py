"""A plane with two axes, for points: the mechanism of roofline and front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..markup import Child, Markup, tag

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 40


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`, in logarithms or not. `percent` prints shares."""

    label: str
    low: float
    high: float
    log: bool = False
    percent: bool = False

    @classmethod
    def around(cls, label: str, values: Sequence[float], log: bool = False, percent: bool = False) -> Axis:
        """With room around the values."""
        low, high = min(values), max(values)
        if log:
            return cls(label, low / 1.5, high * 1.5, True, percent)
        room = 0.08 * (high - low) or abs(high) * 0.05 or 1.0
        return cls(label, low - room, min(high + room, 1.0) if percent else high + room, False, percent)

    def share(self, value: float) -> float:
        """Where a value lies, from 0 to 1."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return (value - low) / ((high - low) or 1)

    def ticks(self) -> list[float]:
        """1, 2 and 5 times powers of ten within the axis."""
        spread = self.high - self.low
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [m * 10.0**p for p in powers for m in (1, 2, 5)]
            inside = [v for v in found if self.low <= v <= self.high]
            return inside if len(inside) <= 8 else [v for v in inside if round(math.log10(v), 6).is_integer()]
        raw = spread / 5
        base = 10.0 ** math.floor(math.log10(raw))
        step = next(m * base for m in (1, 2, 5, 10) if m * base >= raw)
        first = math.ceil(self.low / step)
        return [k * step for k in range(first, math.floor(self.high / step) + 1)]

    def words(self, value: float) -> str:
        if self.percent:
            return f"{100 * value:.4g}%"
        for unit, least in (("M", 1e6), ("k", 1e3)):
            if abs(value) >= least:
                return f"{value / least:.4g} {unit}"
        return f"{value:.3g}"


@dataclass(frozen=True)
class Plane:
    """Where things are drawn."""

    x: Axis
    y: Axis

    def at(self, x: float, y: float) -> tuple[float, float]:
        return (round(LEFT + self.x.share(x) * (WIDTH - LEFT - RIGHT), 1),
                round(HEIGHT - BOTTOM - self.y.share(y) * (HEIGHT - TOP - BOTTOM), 1))

    def point(self, x: float, y: float, tip: str, kind: str = "") -> Markup:
        cx, cy = self.at(x, y)
        return tag("circle", cx=cx, cy=cy, r=5, class_=f"point {kind}".strip(), data_tip=tip, tabindex=0)

    def curve(self, points: Sequence[tuple[float, float]], kind: str) -> Markup:
        return tag("polyline", points=" ".join(f"{a},{b}" for a, b in (self.at(*p) for p in points)), class_=kind)

    def draw(self, about: str, *things: Child) -> Markup:
        """The axes and `things`."""
        parts: list[Child] = []
        for value in self.y.ticks():
            _, y = self.at(self.x.low, value)
            parts += [tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"),
                      tag("text", self.y.words(value), x=LEFT - 8, y=y + 4, class_="tick end")]
        for value in self.x.ticks():
            x, _ = self.at(value, self.y.low)
            parts += [tag("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="grid"),
                      tag("text", self.x.words(value), x=x, y=HEIGHT - BOTTOM + 16, class_="tick middle")]
        parts += [tag("text", self.x.label, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 6, class_="tick middle"),
                  tag("text", self.y.label, x=LEFT + 6, y=TOP + 12, class_="tick")]
        return tag("svg", parts, *things, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=about, class_="plane")
