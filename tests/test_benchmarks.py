"""The benchmark prints goals, recorded engines and ratti's figures; what the docs say is what it prints."""

from __future__ import annotations

import dataclasses
import re
import runpy
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from device_programs import need

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "engines.py"
DOCUMENT = ROOT / "docs" / "engines.md"


@pytest.fixture(scope="module")
def bench() -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


def cells(lines: list[str]) -> dict[tuple[str, ...], list[str]]:
    """The rows with figures of ratti's own, by the cells before its figures."""
    rows = [[c.strip() for c in line.strip().strip("|").split("|")] for line in lines if "**" in line]
    return {tuple(re.sub(r"\*\*[\d.]+\*\*", "", c) for c in row[:3]): row for row in rows if "---" not in row[0]}


def assert_documented(bench: SimpleNamespace, shared: Path, model: str) -> None:
    """A figure in the docs that is not the command's is out of date: worse, or better than what anybody gets."""
    need("mps3-an547")
    lines = bench.tables(bench.Figures(shared / "models"), (model,))
    printed, documented = cells(lines), cells(DOCUMENT.read_text(encoding="utf-8").splitlines())
    assert len(printed) > 15
    different = {k: (documented.get(k), row) for k, row in printed.items() if documented.get(k) != row}
    assert not different, f"docs/engines.md is out of date, run make bench: {different}"


@pytest.mark.toolchain
def test_the_docs_say_what_the_command_prints(bench: SimpleNamespace, shared: Path) -> None:
    assert_documented(bench, shared, "kws")


@pytest.mark.slow
@pytest.mark.toolchain
def test_the_docs_say_what_the_command_prints_of_the_larger_model(bench: SimpleNamespace, shared: Path) -> None:
    assert_documented(bench, shared, "ic")


def test_every_goal_has_its_measure(bench: SimpleNamespace) -> None:
    recorded = tomllib.loads((SCRIPT.parent / "engines.toml").read_text(encoding="utf-8"))
    assert {g["table"] for g in recorded["goal"]} == {"speed", "memory"}
    for goal in recorded["goal"]:
        assert callable(getattr(bench.Figures, goal["measure"])), goal["name"]
        assert goal["core"] in bench.CORES and goal["model"] in bench.MODELS
        if "goal" in goal:  # a row without one stands beside another
            assert goal.get("moonshot", 0) <= goal["goal"] <= goal.get("open", 1e9)
    assert len({g["name"] for g in recorded["goal"]}) == len(recorded["goal"])


def test_tables_go_between_the_marks(bench: SimpleNamespace) -> None:
    text = bench.replaced(DOCUMENT.read_text(encoding="utf-8"), ["| new |"])
    assert text.count(bench.MARKS[0]) == text.count(bench.MARKS[1]) == 1
    assert f"{bench.MARKS[0]}\n\n| new |\n\n{bench.MARKS[1]}\n" in text and "CMSIS-NN | 7.70" not in text
    assert text.startswith("# ratti beside other engines") and "How to read" in text


@pytest.mark.toolchain
def test_front_ends_cost_what_the_docs_say() -> None:
    script = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "front_ends.py")))
    text = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    for label in ("signal, 128 x 1", "statistics, 128 x 3, all, 4 octaves", "image, 160x120 gray to 48x48"):
        found, sources = script.cost(script.FRONT_ENDS[label], "rp2040")
        assert f"{found.instructions:,}" in rows[label] and f"| {sources.work_bytes:,} |" in rows[label]


@pytest.mark.toolchain
def test_architectures_save_what_the_docs_say() -> None:
    script = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "architectures.py")))
    text = (ROOT / "docs" / "architectures.md").read_text(encoding="utf-8")
    question, pair = list(script.PAIRS.items())[2]
    for line in list(script.table([script.row(question, *block) for block in pair]))[2:]:
        assert line in text


@pytest.mark.torch
@pytest.mark.toolchain
@pytest.mark.parametrize("target", ["stm32f446re", "esp32c3"])
def test_a_net_in_floats_gives_the_int8_answer_and_costs_more(target: str) -> None:
    pytest.importorskip("torch", reason="torch is missing (pip install 'ratti[train]')")
    import toys
    from ratti.compress import PtqConfig, quantize
    from ratti.formats.torch_export import import_program
    from ratti.graph.passes import run_pipeline
    from ratti.train import TrainConfig, train

    need(target)
    script = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "floats.py")))
    spec = toys.spec("conv: {width: 8, kernel: 3, stride: 2, activation: relu6}",
                     "inverted_residual: {hidden: 16, width: 8, residual: true}", "separable: {width: 10}", "mean: {}",
                     "fc: {width: 3}")
    data = toys.dataset()
    model = train(spec, data, TrainConfig(epochs=4, learning_rate=0.02, threads=1), progress=False).model
    graph = import_program(quantize(model, data, PtqConfig(threads=1)), "toy")
    cells = script.row("toy", graph, target)
    assert float(cells[4]) > 2 and float(cells[7]) > 1.5, cells  # instructions and RAM; flash is nearly all code here
    found = run_pipeline(graph)
    real = script.dequantized(found)
    last = next(n.inputs[1] for n in real.nodes if type(n.op).__name__ == "FullyConnected")
    weights = dataclasses.replace(real.values[last], data=-real.values[last].data)
    wrong = dataclasses.replace(real, values={**real.values, last: weights})
    script.floats.__globals__["dequantized"] = lambda _: wrong
    with pytest.raises(SystemExit, match="the float answer"):
        script.floats(found, target)
