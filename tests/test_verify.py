"""`ratti verify`: interpreter, TFLite Micro, C on this computer and C on every emulated core give the same bits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import toys
from ratti import nets
from ratti.cli import main
from ratti.graph.ir import Graph
from ratti.samples import make_inputs
from ratti.types import Array
from ratti.verbs import verify as verbs_verify
from ratti.verbs.check import check
from ratti.verbs.verify import VerifyResult, real_samples, verify

pytestmark = [pytest.mark.toolchain, pytest.mark.oracle]

TARGETS = ("stm32l4r5zi", "rp2040", "esp32c3", "ch32v003")
INPUTS = 20


def _equal_everywhere(result: VerifyResult, inputs: int = INPUTS) -> None:
    where = ["interpreter", "tflm", "host:c", *(f"emulator:{t}" for t in TARGETS)]
    assert [row.where.split(" ")[0] for row in result.rows] == where
    assert [(row.where, row.differ, row.max_lsb) for row in result.rows] == [(row.where, 0, 0) for row in result.rows]
    assert all(row.elements == result.rows[0].elements >= inputs for row in result.rows)
    assert result.inputs == inputs and result.distinct > inputs // 2
    assert result.passes


def _with_constants(graph: Graph, change: dict[str, Array]) -> Graph:
    values = {n: dataclasses.replace(v, data=change[n]) if n in change else v for n, v in graph.values.items()}
    return dataclasses.replace(graph, values=values)


def test_keyword_spotting(shared: Path) -> None:
    _equal_everywhere(verify(shared / "models" / "kws.tflite", TARGETS, count=INPUTS))


def test_a_net_by_its_id() -> None:
    _equal_everywhere(verify("micro-1.0-8", TARGETS, count=INPUTS))


@pytest.mark.torch
def test_real_digits() -> None:
    graph = nets.random_graph(nets.spec("micro-1.0-8"))
    real = real_samples(graph, "micro-1.0-8", "digits", INPUTS)
    assert real[0].shape == (INPUTS, 8, 8, 1) and len(np.unique(real[0])) > 10
    _equal_everywhere(verify(graph, TARGETS, count=INPUTS, real=real))


@pytest.mark.slow
@pytest.mark.torch
def test_image_classification_on_photographs(shared: Path) -> None:
    from ratti import models

    path = shared / "models" / "ic.tflite"
    graph = models.load(path)
    real = real_samples(graph, str(path), str(shared / "data" / "leaves"), INPUTS)
    assert len(real[0]) == INPUTS
    _equal_everywhere(verify(graph, TARGETS, count=INPUTS, real=real))


def test_constant_outputs_prove_nothing(capsys: pytest.CaptureFixture) -> None:
    graph = nets.random_graph(toys.spec())
    (last,) = (n for n in graph.nodes if n.op.name == "fully_connected")
    zeros = {name: np.zeros_like(graph.values[name].data) for name in last.inputs[1:]}
    result = verify(_with_constants(graph, zeros), count=INPUTS)
    assert all(row.differ == 0 for row in result.rows)
    assert result.distinct == 1 and not result.passes
    assert "the outputs are constant" in str(result)


@pytest.mark.parametrize("engine", ["_runtime", "deploy"])
def test_a_wrong_engine_is_caught(monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    """One weight of the last layer is changed for one engine alone."""
    graph = nets.random_graph(toys.spec())
    (last,) = (n for n in graph.nodes if n.op.name == "fully_connected")
    weights = graph.values[last.inputs[1]].data.copy()
    weights[0, 0] = -weights[0, 0] - 1
    wrong = _with_constants(graph, {last.inputs[1]: weights})
    right = getattr(verbs_verify, engine)

    def patched(*arguments: object) -> object:
        return right(*(wrong if a is graph else a for a in arguments))

    monkeypatch.setattr(verbs_verify, engine, patched)
    result = verify(graph, ["stm32l4r5zi"], ["host:c"], INPUTS)
    differ = {row.where: row for row in result.rows if row.differ}
    assert set(differ) == {"host:c" if engine == "_runtime" else "emulator:stm32l4r5zi"}
    assert all(row.max_lsb > 0 for row in differ.values())
    assert not result.passes


def test_inputs_are_real_first_then_extremes_then_random() -> None:
    graph = nets.random_graph(toys.spec())
    real = [np.full((3, 8, 8, 1), 7, np.int8)]
    rows = [row[0] for row in make_inputs(graph, 12, real)]
    assert len(rows) == 12 and all((row == 7).all() for row in rows[:3])
    assert [len(np.unique(row)) for row in rows[3:7]] == [1, 1, 1, 2]
    assert all(len(np.unique(row)) > 2 for row in rows[7:])
    again = make_inputs(graph, 12, real)
    assert all((a == b[0]).all() for a, b in zip(rows, again, strict=True))


def test_command_line(shared: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["verify", "micro-1.0-8", "--targets", "rp2040", "--runtimes", "host:c", "--inputs", "8"]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.split()[:2] == ["EQUAL", "micro_1_0_8:"]


def test_a_limit_on_ram_verifies_the_plan_that_meets_it() -> None:
    graph = nets.random_graph(toys.spec())
    free = check(graph, "stm32l4r5zi")
    limit = free.ram["total"] - 64
    (_, row) = verify(graph, ["stm32l4r5zi"], (), 4, ram_limit=limit).rows
    assert row.passes and row.elements
    used = int(row.where.split("(")[1].split(" B")[0].replace(",", ""))
    assert used <= limit and "bands" in row.where
