"""Documents say what is true today: their commands parse, the quick ones run, links lead somewhere, the site builds.

A fenced block of shell in `docs/` or README.md is marked by a comment on the line before it: `<!-- run -->` runs in
this test, in a folder with MLPerf Tiny's `kws.tflite`; `<!-- run slow -->` makes its page's test slow;
`<!-- hardware: what -->` says what it needs. Others are long: that their words parse is tested.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ratti import targets
from ratti.cli import parser, verbs
from ratti.targets import hosts

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"(?:^<!-- (run|run slow|hardware: [^\n]+?) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
SHELL = ("", "sh", "console")
NO = {"check": 1, "llm": 1}  # verbs that may answer no: exit code 1


@dataclass(frozen=True)
class Command:
    """One line of a block, and the marker before the block."""

    page: str
    line: str
    marker: str

    def __str__(self) -> str:
        return f"{self.page}: {self.line}"


def _commands(page: Path) -> Iterator[Command]:
    for marker, language, body in FENCE.findall(page.read_text(encoding="utf-8")):
        if language in SHELL:
            for line in re.split(r"\n| && ", body.replace("\\\n", " ")):
                words = line.strip().removeprefix("$ ").split("#")[0].strip()
                if words.split(" ")[0] in ("ratti", "make", "pip", "python") or (marker and words):
                    yield Command(page.name, words, marker)


COMMANDS = [c for p in PAGES for c in _commands(p)]
RUNNABLE = sorted({c.page for c in COMMANDS if c.marker.startswith("run")})


def _words(line: str) -> tuple[list[str], str | None]:
    """The words of a command, and the file that its output goes to."""
    words = shlex.split(line)
    if ">" in words:
        at = words.index(">")
        return words[:at], words[at + 1]
    return words, None


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_commands_parse(command: Command) -> None:
    words, _ = _words(command.line)
    if words[0] == "ratti":
        known = parser().parse_args(words[1:])
        for name in str(getattr(known, "target", None) or "").split(","):
            assert not name or name in (*targets.ids(), *hosts.ids()), command
    elif words[0] == "make":
        goals = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        assert set(words[1:]) <= set(goals), command
    elif words[:2] == ["pip", "install"]:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        for extras in re.findall(r"ratti\[([\w,]+)\]", command.line):
            assert set(extras.split(",")) <= set(project["optional-dependencies"]), command


def test_there_are_commands_of_most_verbs() -> None:
    shown = {_words(c.line)[0][1] for c in COMMANDS if c.line.startswith("ratti ")}
    assert shown >= {"targets", "check", "build", "export", "verify", "bench", "report", "llm"}
    assert shown <= set(verbs())


def _slow(page: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if any(c.page == page and c.marker == "run slow" for c in COMMANDS) else []


@pytest.mark.toolchain
@pytest.mark.torch
@pytest.mark.parametrize("page", [pytest.param(p, marks=_slow(p)) for p in RUNNABLE])
def test_commands_run(page: str, tmp_path: Path, shared: Path) -> None:
    """In order, in one folder; a verb that may say no may end with 1."""
    shutil.copy(shared / "models" / "kws.tflite", tmp_path)
    clean = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    clean.pop("CI", None)
    for command in COMMANDS:
        if command.page != page or not command.marker.startswith("run"):
            continue
        words, out = _words(command.line)
        programs = {"ratti": [sys.executable, "-m", "ratti"], "python": [sys.executable]}
        real = [*programs.get(words[0], [words[0]]), *words[1:]]
        result = subprocess.run(real, cwd=tmp_path, env=clean, capture_output=True, text=True)
        allowed = (0, NO.get(words[1], 0)) if words[0] == "ratti" else (0,)
        assert result.returncode in allowed, f"{command}: {result.stderr[-800:]}"
        assert result.stdout or words[0] != "ratti", f"{command} prints nothing"
        if out is not None:
            (tmp_path / out).write_text(result.stdout)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as HTML."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    words = (sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder))
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr + result.stdout
    return folder


def test_the_site_builds(site: Path) -> None:
    names = {p.stem for p in site.glob("*.html")}
    assert names >= {p.stem for p in (ROOT / "docs").glob("*.md")}


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    for page in site.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*\bsrc=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link[^>]*\bhref=\"([^\"]+)\"", text)
        foreign = [u for u in loaded if u.startswith(("http:", "https:", "//")) and "canonical" not in u]
        assert foreign == [], page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith(("http:", "https:", "#", "mailto:")):
            assert (page.parent / link.split("#")[0]).exists(), f"{page.name}: {link}"


FOLDERS = ("src", "tests", "examples", "benchmarks")  # of the files that pages name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    named = re.findall(rf"\b((?:{'|'.join(FOLDERS)})/[\w./-]*\w\.\w+)", page.read_text(encoding="utf-8"))
    missing = [name for name in named if not (ROOT / name).exists()]
    assert missing == [], page.name


def test_what_can_be_added_has_an_example() -> None:
    """Every folder whose files are found by their names is on the page, with one of its own files."""
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    kinds = ("ops", "kernels", "targets", "targets/hosts", "device/cycles", "nets", "runtimes", "search/spaces",
             "search/strategies", "features", "data/sources", "graph/passes", "emit/projects", "report/html/kinds",
             "report/html/sections", "cli")
    for kind in kinds:
        assert re.search(rf"\| [^|]*`src/ratti/{kind}/[\w./-]+`", text), kind


def test_the_picture_names_every_folder() -> None:
    """And is an image that loads nothing, in colors for both schemes."""
    text = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    words = {word for label in re.findall(r'class="name">([^<]+)<', text) for word in label.split(", ")}
    folders = {p.name for p in (ROOT / "src" / "ratti").iterdir() if (p / "__init__.py").is_file()}
    assert folders - words == {"verbs"}  # the functions behind the command line
    assert "prefers-color-scheme: dark" in text and not re.search(r"href=|<script|url\((?!#)", text)
