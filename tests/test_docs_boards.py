"""Every command in the pages on boards and projects runs; places that are not here are stood in for by real ones."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ratti import models, targets
from ratti.deploy import prepare
from ratti.device import link, toolchain, uart
from ratti.verbs import _boards
from test_remote import ssh  # noqa: F401  a fixture

pytestmark = pytest.mark.toolchain
DOCS = Path(__file__).parents[1] / "docs"
MODEL = "ds_cnn-1.0-49"


def commands(page: str) -> list[str]:
    """The lines of its blocks of shell commands."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.S | re.M)
    return [line for block in blocks for line in block.splitlines()]


def run(line: str, folder: Path) -> str:
    words = shlex.split(line.split(" > ")[0])
    if words[0] == "ratti":
        words = [sys.executable, "-m", "ratti", *words[1:]]
    elif "/" not in words[0] and shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is missing")
    source = str(Path(__file__).parents[1] / "src")
    environment = dict(os.environ, PYTHONPATH=source)
    result = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{line}\n{result.stdout}{result.stderr}"
    return result.stdout


def test_projects(tmp_path: Path) -> None:
    said = [run(line, tmp_path) for line in commands("projects.md")]
    assert "100% tests passed" in said[3] and said[-1] == "8 vectors equal\n"


def test_boards(tmp_path: Path, ssh: tuple[str, tuple[str, ...]]) -> None:  # noqa: F811
    pytest.importorskip("serial", reason="pyserial is missing (pip install 'ratti[serial]')")
    place, options = ssh
    graph = models.load(MODEL)
    part = targets.load("stm32l4r5zi")
    program = prepare(graph, part.isa).program
    firmware = toolchain.build(link.serving(program, graph.name, _boards.number(graph), uart.SOURCES), part)
    extra = " ".join(f"--ssh-option {option}" for option in options)
    with uart.Board(firmware) as board:
        for line in commands("boards.md"):
            real = line.replace("/dev/ttyACM0", board.path).replace("ssh:pi@gateway", f"{place} {extra}")
            said = run(real, tmp_path)
            if " bench " in line:
                assert "outputs equal" in said
    names = {p.name for p in (tmp_path / "out").iterdir()}
    assert {"ratti_link.c", "ratti_link.h", "ds_cnn_1_0_49_link.c"} <= names


def test_the_blob_table_is_of_this_code() -> None:
    """One row of it, computed again (the others take longer)."""
    command = [sys.executable, str(DOCS.parent / "benchmarks" / "blob.py"), MODEL]
    environment = dict(os.environ, PYTHONPATH=str(DOCS.parent / "src"))
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    page = (DOCS / "projects.md").read_text(encoding="utf-8")
    assert all(row in page for row in result.stdout.splitlines())


def test_every_project_is_on_the_page() -> None:
    from ratti.emit import projects

    page = (DOCS / "projects.md").read_text(encoding="utf-8")
    assert all(f"| `{project}` |" in page for project in projects.ids())
