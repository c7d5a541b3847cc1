"""`ratti export`: what is written compiles, passes its own test and can be read back."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import toys
from ratti import nets
from ratti.cli import main
from ratti.errors import InputError
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.ir import Graph
from ratti.samples import make_inputs
from ratti.verbs.export import export

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic")


@pytest.fixture(scope="module")
def graph() -> Graph:
    return nets.random_graph(toys.spec())


def _compile_and_run(folder: Path, name: str, compiler: str) -> subprocess.CompletedProcess[str]:
    command = [compiler, "-std=c99", "-O2", *WARNINGS, f"{name}.c", f"{name}_test.c", "-o", "program"]
    subprocess.run(command, cwd=folder, check=True)
    return subprocess.run([folder / "program"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", [None, "stm32l4r5zi", "rp2040", "esp32c3", "ch32v003", "neon"])
def test_c_passes_its_own_test(
    graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str], target: str | None
) -> None:
    if target == "stm32l4r5zi":
        export(graph, ["c"], tmp_path, target)
        assert "smlad" in (tmp_path / "toy.c").read_text().lower()  # Arm's own instructions: not for this computer
        return
    paths = export(graph, ["c"], tmp_path, target)
    assert [p.name for p in paths] == ["toy.c", "toy.h", "toy_test.c"]
    result = _compile_and_run(tmp_path, "toy", system_compiler("gcc"))
    assert (result.returncode, result.stdout) == (0, "8 vectors equal\n")


def test_the_test_of_the_c_can_fail(graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str]) -> None:
    export(graph, ["c"], tmp_path)
    path = tmp_path / "toy_test.c"
    before, after = path.read_text().split("output_0[", 1)
    head, numbers = after.split("{", 1)
    first, rest = numbers.split(",", 1)
    changed = f"{before}output_0[{head}{{ {-1 - int(first)},{rest}"
    path.write_text(changed)
    result = _compile_and_run(tmp_path, "toy", system_compiler("gcc"))
    assert result.returncode == 1 and "vector 0" in result.stdout


def test_tflite_is_read_back(graph: Graph, tmp_path: Path) -> None:
    (path,) = export(graph, ["tflite"], tmp_path)
    again = tflite.read(path)
    assert again.macs() == graph.macs()
    for row in make_inputs(graph, 6):
        (want,), (got,) = interpreter.run(graph, row).values(), interpreter.run(again, row).values()
        assert np.array_equal(want, got)


def test_a_name_of_ones_own(graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str]) -> None:
    export(graph, ["c", "tflite"], tmp_path, name="other")
    assert {p.name for p in tmp_path.iterdir()} == {"other.c", "other.h", "other_test.c", "other.tflite"}
    assert _compile_and_run(tmp_path, "other", system_compiler("gcc")).returncode == 0


def test_two_exports_are_the_same_bytes(graph: Graph, tmp_path: Path) -> None:
    first = export(graph, ["c", "tflite"], tmp_path / "a", "esp32c3")
    second = export(graph, ["c", "tflite"], tmp_path / "b", "esp32c3")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_nothing_is_written_where_one_kind_fails(graph: Graph, tmp_path: Path) -> None:
    for arguments in ((["c", "elf"], tmp_path / "x"), (["c"], tmp_path / "x", "nowhere"), ([], tmp_path / "x")):
        with pytest.raises(InputError):
            export(graph, *arguments)
    assert not list(tmp_path.iterdir())


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["export", "micro-1.0-8", "--to", "c,tflite", "--out", str(tmp_path / "deep" / "er")]) == 0
    printed = capsys.readouterr().out.split()
    assert [Path(p).name for p in printed] == [f"micro_1_0_8{end}" for end in (".c", ".h", ".tflite", "_test.c")]
    assert all(Path(p).is_file() for p in printed)
