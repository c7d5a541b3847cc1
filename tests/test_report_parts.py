"""What pages of `ratti report` are made of: the memory map, roofs, battery life, pictures, text that can be read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import toys
from ratti import nets, targets
from ratti.deploy import prepare
from ratti.device import cores, roofline
from ratti.duty import life_hours
from ratti.plan import Patches, make_plans
from ratti.plan.memory import Tenant, tenants
from ratti.report import html
from ratti.report.html.markup import Markup, tag
from ratti.report.html.sections.examples import png


def _overlap(a: Tenant, b: Tenant) -> bool:
    return a.offset < b.offset + b.bytes and b.offset < a.offset + a.bytes


def test_the_map_is_the_plan() -> None:
    """Tenants fill the arena; at each step those are alive that the plan names; scratch lies apart from values."""
    graph = nets.random_graph(toys.spec())
    plans = [prepare(graph, "armv7em").plan, *make_plans(graph, frozenset())]
    assert len({p.how for p in plans}) > 2
    for plan in plans:
        found = tenants(plan)
        assert 0 <= plan.arena_bytes - max(t.offset + t.bytes for t in found) < 4
        assert {t.name for t in found} >= {*plan.graph.inputs, *plan.graph.outputs}
        for k, (group, steps) in enumerate(plan.calls):
            parts = len(steps) if isinstance(group, Patches) else 1
            for j, step in enumerate(steps):
                now = k + ((j + 0.5) / parts if parts > 1 else 0.5)
                alive = [t for t in found if t.first <= now < t.end]
                values = [t for t in alive if t.role != "scratch"]
                assert dict(step.live).items() <= {t.name: t.bytes for t in values}.items()
                if step.shared_bytes == 0:
                    assert not any(_overlap(a, b) for a in values for b in values if a.name < b.name)
                assert not any(_overlap(s, t) for s in alive if s.role == "scratch" for t in values)


@pytest.mark.parametrize("core", sorted(roofline.ROOFS))
def test_roofs(core: str) -> None:
    roof = roofline.ROOFS[core]
    assert core in cores.CORES and roof.source
    assert roof.at(1e-3) == pytest.approx(1e-3 * roof.bytes_per_cycle) and roof.at(1e9) == roof.macs_per_cycle


def test_battery_life() -> None:
    # 3,600 µJ once an hour is 1 µW on average; 1 mAh at 1 V is 1 mWh: 1,000 h. 1 µA at rest doubles the load.
    assert life_hours(3600, 1, 1, 1) == pytest.approx(1000)
    assert life_hours(3600, 1, 1, 1, 1) == pytest.approx(500)


def test_png(rng: np.random.Generator, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for channels in (1, 3):
        pixels = rng.integers(0, 256, (5, 7, channels)).astype(np.uint8)
        (tmp_path / "a.png").write_bytes(png(pixels))
        assert np.array_equal(np.asarray(image.open(tmp_path / "a.png")).reshape(pixels.shape), pixels)


def test_text_is_escaped() -> None:
    assert tag("p", "<b>", Markup("<i/>"), 3, None, title='"') == '<p title="&quot;">&lt;b&gt;<i/>3</p>'


def _luminance(color: str) -> float:
    digits = color.lstrip("#")
    digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("scheme", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_can_be_read(scheme: int) -> None:
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5 for every pair of text and ground."""
    style = (Path(html.__file__).parent / "style.css").read_text()
    blocks = [dict(re.findall(r"--([\w-]+): (#\w+);", b)) for b in re.findall(r":root \{(.*?)\}", style, re.S)]
    colors = blocks[scheme]
    pairs = [(t, g) for t in ("ink", "dim", "no", "yes") for g in ("page", "panel")]
    pairs += [("yes", "yes-fill"), ("no", "no-fill"), ("ink", "track"), ("page", "ink")]
    pairs += [("on-block", block) for block in ("input", "activation", "output", "scratch")]
    for text, ground in pairs:
        a, b = sorted((_luminance(colors[text]), _luminance(colors[ground])))
        assert (b + 0.05) / (a + 0.05) >= 4.5, f"{text} on {ground}"


def test_targets_with_power_have_a_source() -> None:
    for name in targets.ids():
        target = targets.load(name)
        assert target.active_mw is None or target.source("active_mw") != targets.UNVERIFIED
