"""ExecuTorch on Cortex-M: what its passes lower, run by its own definitions of the kernels, in another environment."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

import toys
from engines import differences, each_family, family_net, largest_difference, supported_cases
from ratti import nets, ops, runtimes
from ratti.errors import MissingDependencyError, UnsupportedError
from ratti.formats import tflite
from ratti.graph.ir import Graph
from ratti.runtimes import Engine
from ratti.verbs.export import export

pytestmark = pytest.mark.torch
KIND = "executorch:cortex-m"


@pytest.fixture(scope="module")
def cortex_m() -> Engine:
    found = runtimes.kinds()[KIND]
    if not found.available():
        pytest.skip("optional: ExecuTorch's Cortex-M tools are missing (set RATTI_CORTEX_M, see docs/runtimes.md)")
    return found


@pytest.fixture(scope="module")
def graph() -> Graph:
    return nets.random_graph(toys.spec())


def test_every_op(cortex_m: Engine) -> None:
    cases = supported_cases(cortex_m, 1)
    assert {c.op.name for c in cases} == set(ops.names())
    assert not {case: most for case, most in differences(cortex_m, cases).items() if most > 1}


def test_a_whole_net_is_cmsis_nn_alone(cortex_m: Engine, graph: Graph, tmp_path: Path) -> None:
    assert largest_difference(cortex_m, graph) == 0
    said, program = export(graph, [KIND], tmp_path)
    assert [said.name, program.name] == ["toy_cortex-m4.json", "toy_cortex-m4.pte"]
    assert program.read_bytes()[4:6] == b"ET"
    told = json.loads(said.read_text())
    assert told["cpu"] == "cortex-m4" and told["how"] == "not run on a core"
    assert {name for name in told["calls"] if not name.startswith("cortex_m::")} <= {"aten::view_copy"}
    assert told["calls"]["cortex_m::quantized_conv2d_nhwc"] > 0


@pytest.mark.slow
@each_family
def test_every_family(cortex_m: Engine, family: str, whole: bool) -> None:
    """Float kernels (hard swish, unlike scales) may round otherwise; nothing else does."""
    net = family_net(family, whole)
    assert largest_difference(cortex_m, net) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["kws", "ic"])
def test_published_models(cortex_m: Engine, shared: Path, model: str) -> None:
    assert largest_difference(cortex_m, tflite.read(shared / "models" / f"{model}.tflite")) == 0


def test_errors_are_one_line(graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not runtimes.get("executorch").available():
        pytest.skip("the engine executorch is missing (pip install 'ratti[runtimes]')")
    monkeypatch.setenv("RATTI_CORTEX_M", "/nowhere/python")
    with pytest.raises(MissingDependencyError, match="RATTI_CORTEX_M=cortexm/bin/python"):
        export(graph, [KIND], tmp_path / "out")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'RuntimeError: no such layout' >&2\nexit 1\n")
    python.chmod(stat.S_IRWXU)
    monkeypatch.setenv("RATTI_CORTEX_M", str(python))
    with pytest.raises(UnsupportedError, match=r"Cortex-M passes refuse model 'toy': RuntimeError: no such layout"):
        export(graph, [KIND], tmp_path / "out")
    assert not (tmp_path / "out").exists()
