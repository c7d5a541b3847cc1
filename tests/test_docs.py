"""Documents say what is true today: their commands parse, the quick ones run, links lead somewhere, the site builds.

A fenced block of shell in `docs/` or README.md is marked by a comment on the line before it. `<!-- run -->` runs in
this test, in a folder with what it names (`stand_ins.py`); `<!-- run slow -->` makes its page's test slow;
`<!-- run brief -->` is slow, too, and runs with one epoch, one minute, few rounds (`BRIEF`). `<!-- tested: FILE -->`
says where it runs otherwise. There are no others, but on the pages of `test_docs_boards.py`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import stand_ins
from ratti import targets
from ratti.cli import parser, verbs
from ratti.targets import hosts

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"(?:^<!-- (run|run slow|run brief|tested: [^\n]+?) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
SHELL = ("", "sh", "console")
NO = {"check": 1, "llm": 1}  # verbs that may answer no: exit code 1
UNTRAINED = {"build": 1, "compress": 1, "search": 1}  # and those that may after one epoch
ELSEWHERE = ("boards.md", "projects.md")  # every command of them runs in test_docs_boards.py

# How `run brief` runs: these options are given another value where a command has them; one that begins with words
# of `ADDS` gets the options behind them, too.
BRIEF = {"--epochs": "1", "--minutes": "1", "--nets": "2", "--rounds": "2", "--inputs": "4"}
ADDS = {
    "ratti train": "--epochs 1", "ratti build": "--epochs 1", "ratti compress": "--epochs 1",
    "ratti search": "--epochs 1 --finalists 1", "ratti llm train": "--steps-per-epoch 2",
    "python benchmarks/search.py compare": "--epochs 1 --finalists 1 --seeds 0 --strategies tiny_nas",
    "python benchmarks/compression.py": "--sets leaves --epochs 1",
}


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


def _brief(line: str, folder: Path) -> str:
    """The command with less to do; NET is the first net in its folder, of a search that ran before."""
    added = [more for start, more in ADDS.items() if line.startswith(start + " ")]
    for option, value in BRIEF.items():
        line = re.sub(rf"{option} \S+", f"{option} {value}", line)
    for more in added:
        for option, value in re.findall(r"(--\S+) (\S+)", more):
            line = line if f"{option} " in line else f"{line} {option} {value}"
    return re.sub(r"(\S+)/NET\b", lambda m: f"{m[1]}/{min(p.name for p in (folder / m[1]).glob('[!.]*'))}", line)


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


def test_every_command_runs_somewhere() -> None:
    nowhere = [str(c) for c in COMMANDS if not c.marker and c.page not in ELSEWHERE]
    assert nowhere == []
    for c in COMMANDS:
        assert not c.marker.startswith("tested: ") or (ROOT / c.marker.removeprefix("tested: ")).is_file(), c


SLOW = ("run slow", "run brief")


def _slow(page: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.slow] if any(c.page == page and c.marker in SLOW for c in COMMANDS) else []


@pytest.mark.toolchain
@pytest.mark.torch
@pytest.mark.parametrize("page", [pytest.param(p, marks=_slow(p)) for p in RUNNABLE])
def test_commands_run(page: str, tmp_path: Path, shared: Path) -> None:
    """In order, in one folder; a verb that may say no may end with 1."""
    commands = [c for c in COMMANDS if c.page == page and c.marker.startswith("run")]
    stand_ins.make(tmp_path, " ".join(c.line for c in commands), shared, ROOT)
    clean = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    clean.pop("CI", None)
    for command in commands:
        brief = command.marker == "run brief"
        words, out = _words(_brief(command.line, tmp_path) if brief else command.line)
        programs = {"ratti": [sys.executable, "-m", "ratti"], "python": [sys.executable]}
        real = [*programs.get(words[0], [words[0]]), *words[1:]]
        real = [str(ROOT / w) if w.startswith("benchmarks/") else w for w in real]
        result = subprocess.run(real, cwd=tmp_path, env=clean, capture_output=True, text=True)
        no = NO | (UNTRAINED if brief else {})
        allowed = (0, no.get(words[1], 0)) if words[0] == "ratti" else (0,)
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
    named = re.findall(rf"(?<![\w/.-])((?:{'|'.join(FOLDERS)})/[\w./-]*\w\.\w+)", page.read_text(encoding="utf-8"))
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
