"""`ratti report`: one page that shows what the run's files say, needs nothing else, and takes no harm from them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import toys
from ratti import nets, targets
from ratti.cli import main
from ratti.duty import Duty, life_hours
from ratti.errors import InputError
from ratti.formats import tflite
from ratti.report import html
from ratti.report.html import kinds
from ratti.report.html.markup import VOID
from ratti.verbs.check import check
from ratti.verbs.report import report

TARGET = "stm32l4r5zi"
EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """What `check --json` prints of a toy net."""
    pytest.importorskip("unicorn")
    pytest.importorskip("ziglang")
    return json.loads(json.dumps(check(nets.random_graph(toys.spec()), TARGET).to_json()))


@pytest.fixture
def bundle(tmp_path: Path, figures: dict[str, Any]) -> Path:
    """A bundle's folder as `build` writes it, with what a report reads."""
    rng = np.random.default_rng(3)
    confusion = [[18, 2, 0], [0, 20, 0], [1, 0, 19]]
    result = {
        "schema": "ratti.bundle/1", "net": "toy", "bundle": "toy", "parameters": 100, "macs": 1000, "checks": [figures],
        "accuracy": {"float": 0.96, "int8": 57 / 60, "device": 57 / 60}, "classes": ["row", "column", EVIL],
        "confusion": confusion, "device": [{"target": TARGET, "samples": 60, "accuracy": 57 / 60, "differ": 0}],
    }
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(result))
    np.savez_compressed(folder / "examples.npz", x=rng.integers(0, 255, (4, 8, 8, 3)).astype(np.uint8),
                        words=np.array(["is row, said column", f"is {EVIL}, said row", "column", "column"]),
                        right=np.array([False, False, True, True]), looked_at=60, kind="image",
                        marks=np.zeros((0, 4)))
    return folder


def _write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


class _Elements(HTMLParser):
    """Every element with its attributes; counts what is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((name, dict(attributes)))
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((name, dict(attributes)))

    def handle_endtag(self, name: str) -> None:
        assert self.open.pop() == name

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _elements(page: str) -> _Elements:
    parser = _Elements()
    parser.feed(page)
    assert not parser.open
    return parser


# ---- the page


@pytest.mark.toolchain
def test_a_check_becomes_a_page(tmp_path: Path, figures: dict[str, Any], capsys: pytest.CaptureFixture) -> None:
    source = _write(tmp_path / "run.json", figures)
    assert main(["report", str(source)]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run.html")
    page = (tmp_path / "run.html").read_text()
    text = " ".join(_elements(page).text)
    for figure in (figures["ram"]["total"], figures["flash"]["total"], figures["instructions"]):
        assert f"{figure:,}" in text
    assert all(layer["name"] in text for layer in figures["layers"])
    assert all(figures["how"][k] in text for k in figures["how"])
    headings = ("Memory over time", "Layer by layer", "Roofline", "Energy and battery life", "How each figure was")
    assert all(h in text for h in headings)


@pytest.mark.toolchain
def test_a_page_is_one_file(bundle: Path) -> None:
    page = report(bundle).read_text()
    elements = _elements(page)
    sources = [a.get(k) or "" for _, a in elements.found for k in ("src", "href", "srcset", "action") if k in a]
    assert sources and all(s.startswith(("data:image/png;base64,", "#")) for s in sources)
    assert not re.search(r"@import|url\(|https?://(?!www\.w3)", re.sub(r"<pre>.*?</pre>", "", page))
    policy = next(a["content"] for _, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and "default-src 'none'" in policy


@pytest.mark.toolchain
def test_what_files_say_is_never_markup(tmp_path: Path, bundle: Path, figures: dict[str, Any]) -> None:
    evil = json.loads(json.dumps(figures))
    evil["model"] = evil["layers"][0]["name"] = evil["arena"][0]["name"] = EVIL
    evil["advice"], evil["reasons"], evil["absent"]["energy"] = [EVIL], [EVIL], EVIL
    evil["versions"] = {EVIL: EVIL}
    for source in (_write(tmp_path / "evil.json", evil), bundle):
        page = report(source).read_text()
        assert EVIL not in page and "onerror=&quot;" in page
        elements = _elements(page)
        assert sum(name == "script" for name, _ in elements.found) == 1
        assert not any(k.startswith("on") for _, a in elements.found for k in a)


@pytest.mark.toolchain
def test_a_bundle_shows_what_is_mistaken(bundle: Path) -> None:
    elements = _elements(report(bundle).read_text())
    tips = [a["data-tip"] for _, a in elements.found if a.get("class") == "wrong"]
    assert tips == ["row: 2 of 20 answered column (10.0%)", f"{EVIL}: 1 of 20 answered row (5.0%)"]
    captions = [a["alt"] for name, a in elements.found if name == "img"]
    assert captions == ["is row, said column", f"is {EVIL}, said row", "column", "column"]
    assert sum("3 of 60 are wrong" in t for t in elements.text) == 1


@pytest.mark.toolchain
def test_a_search_shows_its_front(tmp_path: Path, bundle: Path, figures: dict[str, Any]) -> None:
    (tmp_path / "nets").mkdir()
    bundle.rename(tmp_path / "nets" / "toy")
    found = {"net": "toy", "path": "elsewhere/toy", "accuracy": 0.95, "val_accuracy": 0.94, "ram": 900, "flash": 9000,
             "instructions": 70_000, "latency_ms": None, "energy_uj": None, "choice": {}}
    point = {"trial": 7, "accuracy": 0.9, "instructions": 50_000, "ram_bytes": 800, "flash_bytes": 8000}
    study = {"schema": "ratti.search/1", "study": str(tmp_path), "target": TARGET, "space": "tiny",
             "strategy": "random", "trials": 9, "within_limits": 1, "seconds": 60.0,
             "front": [found], "points": [point], "reasons": []}
    _write(tmp_path / "report.json", study)
    elements = _elements(report(tmp_path).read_text())
    tips = [a.get("data-tip") or "" for _, a in elements.found]
    assert any(t.startswith("trial 7: 90.0% (validation)") for t in tips)
    assert any(t.startswith("toy: 95.0% (test)") for t in tips)
    assert any(a.get("id") == "d0-0" for _, a in elements.found)  # the bundle of the front is shown in full
    _write(tmp_path / "report.json", {**study, "front": [], "points": [], "reasons": ["no net fits"]})
    assert "no net fits" in report(tmp_path).read_text()


@pytest.fixture
def compression(tmp_path: Path, bundle: Path, figures: dict[str, Any]) -> dict[str, Any]:
    """The report of a compression that halved the instructions of every layer but one, which is gone."""
    halved = json.loads(json.dumps(figures))
    del halved["layers"][0]
    for row in halved["layers"]:
        row["instructions"] //= 2
    content = json.loads((bundle / "report.json").read_text())
    rung = {"step": "float", "val": 0.95, "test": 0.96, "instructions": None, "ram": None, "flash": None,
            "latency_ms": None, "fits": None}
    whole = {"step": "ptq", "val": 0.94, "test": 0.955, "instructions": figures["instructions"], "ram": 4000,
             "flash": 9000, "latency_ms": 2.5, "fits": False}
    small = {**whole, "step": "pruned ptq", "instructions": figures["instructions"] // 2, "fits": True}
    layers = [{"layer": "b01.conv", "accuracy_drop": 0.01, "loss_rise": 0.002, "noise_db": 40.0}]
    return {**content, "schema": "ratti.compress/1", "model": f"runs/{EVIL}", "target": TARGET, "fits": True,
            "drop": 1.0, "max_drop": None, "balanced": False, "ladder": [rung, whole, small], "chosen": "pruned ptq",
            "notes": [EVIL], "seconds": 3.0, "before": figures, "checks": [halved],
            "sensitivity": {"samples": 60, "accuracy_float": 0.95, "layers": layers}}


def _rows(page: str, heading: str) -> list[list[str]]:
    """The keys of the cells of the first table after a heading."""
    body = page.split(f"<h3>{heading}</h3>")[1].split("<tbody>")[1].split("</tbody>")[0]
    return [re.findall(r'data-key="([^"]*)"', row) for row in re.findall(r"<tr>(.*?)</tr>", body)]


@pytest.mark.toolchain
def test_a_compression_shows_its_ladder(tmp_path: Path, compression: dict[str, Any], figures: dict[str, Any]) -> None:
    _write(tmp_path / "report.json", compression)
    page = report(tmp_path).read_text()
    _elements(page)
    steps = _rows(page, "Accuracy at every step")
    assert [s[0] for s in steps] == ["float", "ptq", "pruned ptq"] and "<b>pruned ptq ◄</b>" in page
    assert [s[3] for s in steps] == ["", str(figures["instructions"]), str(figures["instructions"] // 2)]
    assert [s[7] for s in steps] == ["", "0", "1"] and "-1.0 points of validation" in page
    rows = _rows(page, "Layer by layer, before and after")
    assert [r[0] for r in rows] == [row["name"] for row in figures["layers"]]
    assert [r[3] for r in rows] == [str(row["instructions"]) for row in figures["layers"]]
    assert rows[0][2] == rows[0][4] == ""
    assert rows[1][4] == str(figures["layers"][1]["instructions"] // 2)
    assert _rows(page, "What each layer alone costs in int8")[0][:2] == ["b01.conv", "0.01"]
    assert EVIL not in page and "3 of 60 are wrong" in page  # the bundle beside it is shown, too
    _write(tmp_path / "report.json", {**compression, "checks": [figures], "sensitivity": None})
    page = report(tmp_path).read_text()
    assert "before and after" not in page and "each layer alone" not in page
    refused = 0
    for key in compression:
        for value in (None, 3, "x", [], {}, [{}], -1):
            try:
                report(_write(tmp_path / "report.json", {**compression, key: value}).parent)
            except InputError:
                refused += 1
    assert refused > len(compression)


@pytest.mark.toolchain
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_compression_in_a_browser(chromium: list[str], tmp_path: Path, compression: dict[str, Any],
                                    scheme: str) -> None:
    image = pytest.importorskip("PIL.Image")
    _write(tmp_path / "report.json", compression)
    page, picture = report(tmp_path), tmp_path / f"{scheme}.png"
    settings = [f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"]
    _browse(chromium, *settings, "--window-size=1000,1400", f"--screenshot={picture}", page.as_uri())
    pixels = np.asarray(image.open(picture).convert("L"), np.float64)
    assert (pixels[3, 3] > 200) == (scheme == "light") and pixels.std() > 10
    probe = """<script>
      for (let k = 0; k < 2; k++) document.querySelector('table.compared th:nth-child(5) button').click();
      const wide = [...document.querySelectorAll('table.compared tbody tr')[0].querySelectorAll('td.bar')];
      document.body.dataset.wide = wide.map((cell) => Math.round(cell.getBoundingClientRect().width)).join();
    </script>"""
    page.write_text(page.read_text().replace("</body>", probe + "</body>"))
    dom = _browse(chromium, "--window-size=1000,1400", "--dump-dom", page.as_uri())
    rows = re.findall(r"<tr>(.*?)</tr>", dom.split('class="sortable compared"')[1].split("</table>")[0])[1:]
    counts = [re.findall(r'data-key="([^"]*)"', row)[4] for row in rows]
    numbers = [int(n) for n in counts if n]
    assert numbers == sorted(numbers) and counts[-1] == ""
    before, after = (int(n) for n in re.findall(r'data-wide="(\d+),(\d+)"', dom)[0])
    assert before == pytest.approx(after, abs=2)  # bars of the same work are as long


def test_every_kind_of_run_has_a_schema_of_its_own() -> None:
    names = [p.stem for p in Path(kinds.__file__).parent.glob("[a-z]*.py")]
    schemas = {__import__(f"{kinds.__name__}.{n}", fromlist=["SCHEMA"]).SCHEMA for n in names}
    assert len(schemas) == len(names) >= 5


def test_figures_without_a_source_are_left_out(tmp_path: Path) -> None:
    pytest.importorskip("unicorn")
    figures = check(nets.random_graph(toys.spec()), "esp32c3").to_json()
    text = " ".join(_elements(report(_write(tmp_path / "c3.json", figures)).read_text()).text)
    assert "Memory over time" in text and "Roofline" not in text and "battery life" not in text
    assert "no figure" in text


# ---- bad input


@pytest.mark.parametrize("content", [
    b"", b"{", b"[]", b"\xff\xfe", b"{}", b'{"schema": 3}', b'{"schema": ["ratti.check/1"]}',
    b'{"schema": "ratti.check/1"}',
    b'{"schema": "ratti.build/1", "models": 3}', b'{"schema": "ratti.compress/1", "ladder": []}',
    b'{"schema": "ratti.search/1", "front": [{}]}', b"[" * 100_000,
])
def test_bad_files_are_one_line(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "run.json").write_bytes(content)
    assert main(["report", str(tmp_path / "run.json")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ratti: '") and error.count("\n") == 1 and "run.json" in error
    assert not (tmp_path / "run.html").exists()


def test_what_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for words in ([str(tmp_path / "none")], [str(tmp_path)]):
        assert main(["report", *words]) == 2
        assert "give the folder of a build" in capsys.readouterr().err


@pytest.mark.toolchain
def test_fields_that_are_missing_or_wrong(tmp_path: Path, figures: dict[str, Any]) -> None:
    """Whatever a file leaves out or says otherwise, there is a page or one clear error."""
    refused = 0
    for key in figures:
        for value in (None, 3, "x", [], {}, [{}], -1):
            try:
                html.render(html.read(_write(tmp_path / "run.json", {**figures, key: value})), tmp_path)
            except InputError:
                refused += 1
    assert refused > len(figures)


@pytest.mark.toolchain
def test_damaged_examples(bundle: Path, figures: dict[str, Any]) -> None:
    whole = (bundle / "examples.npz").read_bytes()
    for damaged in (b"", whole[:100], b"PK" + whole[40:]):
        (bundle / "examples.npz").write_bytes(damaged)
        with pytest.raises(InputError, match="examples"):
            report(bundle)
    np.savez(bundle / "examples.npz", x=np.array([{}], dtype=object), words=["a"], right=[True], looked_at=1,
             marks=np.zeros((0, 4)), kind="image")
    with pytest.raises(InputError, match="examples"):
        report(bundle)
    assert not (bundle / "report.html").exists()


def test_the_run_is_not_overwritten(tmp_path: Path) -> None:
    source = _write(tmp_path / "run.json", {"schema": "ratti.check/1"})
    with pytest.raises(InputError, match="the run itself"):
        report(source, source)
    with pytest.raises(InputError, match="is a folder"):
        report(source, tmp_path)


# ---- what it draws


def test_a_bundle_shows_where_objects_are(bundle: Path) -> None:
    with np.load(bundle / "examples.npz") as stored:
        content = dict(stored)
    content["marks"] = np.array([[2, 3.5, 4.5, 0], [2, 4.0, 4.0, 1]])
    np.savez(bundle / "examples.npz", **content)
    file = bundle / "report.json"
    told = {**json.loads(file.read_text()), "confusion": [], "recall_int8": [None, 0.5, 0.25], "metric": "F1",
            "details": {"precision": 0.75}, "settings": {"threshold": 0.5}}
    file.write_text(json.dumps(told))
    page = report(bundle).read_text()
    assert page.count('class="marked"') == 4 and '<circle cx="4.5" cy="3.5"' in page and 'd="M3.8 4.0h' in page
    for words in ("<h3>F1</h3>", "precision 75.0%; threshold 0.5, chosen on validation", "What is right of each class",
                  "Rings are where objects are"):
        assert words in page
    for wrong in (np.zeros((1, 3)), np.full((1, 4), np.nan)):
        np.savez(bundle / "examples.npz", **{**content, "marks": wrong})
        with pytest.raises(InputError, match="marks"):
            report(bundle)


def test_battery_life_at_the_duty_cycle_of_a_recipe(bundle: Path, figures: dict[str, Any]) -> None:
    file = bundle / "report.json"
    duty = Duty("10 min", "2400 mAh", rest="5 uA")
    life = duty.life(targets.load(TARGET), figures["energy_uj"], figures["latency_range_ms"], {})
    told = {**json.loads(file.read_text()), "duty": vars(duty), "battery": [life.to_json()]}
    file.write_text(json.dumps(told))
    page = report(bundle).read_text()
    assert 'data-value="6"' in page and 'name="mah" value="2400"' in page and "at rest 5 uA" in page
    none = duty.life(targets.load("rp2040"), None, (1.0, None), {})
    file.write_text(json.dumps({**told, "battery": [{**none.to_json(), "target": TARGET}]}))
    assert "no power: no power figure" in report(bundle).read_text()
    file.write_text(json.dumps({**told, "duty": {"every": 7}}))
    with pytest.raises(InputError, match="damaged"):
        report(bundle)


# ---- in a browser


@pytest.fixture
def chromium(tmp_path: Path) -> Iterator[list[str]]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("the browser chromium is missing")
    yield [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
           f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000"]


def _browse(chromium: list[str], *words: str) -> str:
    result = subprocess.run([*chromium, *words], capture_output=True, text=True, timeout=120, check=True,
                            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": "disabled:"})
    console = [line for line in result.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    return result.stdout


@pytest.mark.toolchain
def test_the_page_in_a_browser(chromium: list[str], tmp_path: Path, bundle: Path, figures: dict[str, Any]) -> None:
    page = report(bundle)
    probe = """<script>
      document.querySelector('table.sortable th:nth-child(6) button').click();
      const slider = document.querySelector('[name=rate]');
      slider.value = 1000; slider.dispatchEvent(new Event('input'));
      const mark = document.querySelector('.memory [data-tip]');
      mark.dispatchEvent(new PointerEvent('pointermove', {bubbles: true, clientX: 9, clientY: 9}));
    </script>"""
    page.write_text(page.read_text().replace("</body>", probe + "</body>"))
    dom = _browse(chromium, "--dump-dom", page.as_uri())
    rows = re.findall(r"<tr>(.*?)</tr>", dom.split('class="sortable layers"')[1].split("</table>")[0])[1:]
    counts = [int(re.findall(r'data-key="([^"]*)"', row)[5]) for row in rows]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) > 2
    _, high = figures["latency_range_ms"]
    per_hour = int(3_600_000 / high)
    assert f"{per_hour:,}</b>" in dom
    hours = life_hours(figures["energy_uj"], per_hour, 1000, 3)
    shown = re.search(r'class="life">([\d.,]+) (hours|days)', dom)
    assert shown is not None
    assert float(shown[1].replace(",", "")) * (24 if shown[2] == "days" else 1) == pytest.approx(hours, rel=0.01)
    tip = re.search(r'id="tip"[^>]*>([^<]*)<', dom)
    assert tip is not None and ("call 0" in tip[1] or "calls 0 to" in tip[1])


@pytest.mark.toolchain
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_in_a_browser(chromium: list[str], tmp_path: Path, bundle: Path, scheme: str) -> None:
    image = pytest.importorskip("PIL.Image")
    page, picture = report(bundle), tmp_path / f"{scheme}.png"
    settings = [f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"]
    _browse(chromium, *settings, "--window-size=1000,1400", f"--screenshot={picture}", page.as_uri())
    pixels = np.asarray(image.open(picture).convert("L"), np.float64)
    assert (pixels[3, 3] > 200) == (scheme == "light")
    assert pixels.std() > 10  # something is drawn
    narrow = tmp_path / f"narrow-{scheme}.png"
    _browse(chromium, *settings, "--window-size=500,1400", f"--screenshot={narrow}", page.as_uri())
    assert np.asarray(image.open(narrow)).std() > 10


def test_a_graph_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(tflite.serialize(nets.random_graph(toys.spec())))
    with pytest.raises(InputError, match="no JSON"):
        report(tmp_path / "m.tflite")
