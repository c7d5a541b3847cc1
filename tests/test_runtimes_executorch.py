"""ExecuTorch on ops and net families: one delegate, no operator more than 1 LSB off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import toys
from cases import all_cases
from engines import differences, each_family, engine, family_net, supported_cases
from ratti import nets, ops, runtimes
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.apart import apart
from ratti.graph.builder import from_case
from ratti.graph.dequantized import dequantized
from ratti.graph.ir import Graph
from ratti.verbs.export import export
from ratti.verbs.verify import verify

pytestmark = pytest.mark.torch
SLOW_OPS = 100  # cases of an op in the slow test; CI takes the first


def _calls(graph: Graph) -> list[str]:
    """What the lowered program calls, delegates included."""
    from ratti.runtimes.executorch import lower

    nodes = lower(graph).exported_program().graph_module.graph.nodes
    return [getattr(n.target, "__name__", str(n.target)) for n in nodes if n.op == "call_function"]


@pytest.mark.parametrize("per_op", [1, pytest.param(SLOW_OPS, marks=pytest.mark.slow)])
def test_every_op(per_op: int) -> None:
    found = engine("executorch")
    cases = supported_cases(found, per_op)
    off = differences(found, cases)
    assert not {case: most for case, most in off.items() if most > 1}
    assert off, "executorch is exact: say so"


def test_a_whole_net_is_one_delegate_and_runs() -> None:
    engine("executorch")
    graph = nets.random_graph(toys.spec())
    assert _calls(graph).count("executorch_call_delegate") == 1
    assert set(_calls(apart(graph))) == {"executorch_call_delegate", "getitem"}
    result = verify(graph, runtimes=["executorch"], count=6)
    assert result.passes and result.rows[1].operator_lsb is not None, str(result)


def test_every_int8_op_is_taken() -> None:
    engine("executorch")
    assert {c.op.name for c in supported_cases(runtimes.get("executorch"), 1)} == set(ops.names())


def test_what_xnnpack_does_not_take_runs_in_portable_kernels() -> None:
    engine("executorch")
    first = {c.op.name: c for c in reversed(all_cases())}
    calls = {name: {c for c in _calls(from_case(first[name])) if c.endswith(".out")} for name in ("elu", "tanh")}
    assert calls == {"elu": {"elu.out"}, "tanh": set()}


def test_a_list_of_an_npu_is_held_against_the_program() -> None:
    engine("executorch")
    from ratti.runtimes import executorch

    said = executorch.delegates(nets.random_graph(toys.spec()))
    assert said == {"executorch:qnn (.pte)": "not run here; it has builders for every operator"}
    first = {c.op.name: c for c in reversed(all_cases())}
    (text,) = executorch.delegates(from_case(first["leaky_relu"])).values()
    assert text == "not run here; no builder for leaky_relu"


def test_float_graphs() -> None:
    found, real = engine("executorch"), dequantized(nets.random_graph(nets.spec("micro-1.0-8")))
    x = np.random.default_rng(3).standard_normal(real.type(real.inputs[0]).shape).astype(np.float32)
    (want,), (got,) = interpreter.run(real, [x]).values(), found.run(real)([x])
    assert np.abs(want - got).max() < 1e-4 * np.abs(want).max()


def test_export(tmp_path: Path) -> None:
    engine("executorch")
    (path,) = export("micro-1.0-8", ["executorch"], tmp_path)
    assert path.name == "micro_1_0_8.pte" and path.read_bytes()[4:6] == b"ET"


@each_family
def test_every_family(family: str, whole: bool) -> None:
    engine("executorch")
    graph = family_net(family, whole)
    assert verify(graph, runtimes=["executorch"], count=6).passes


@pytest.mark.slow
@pytest.mark.parametrize("family", nets.families())
def test_every_family_is_one_delegate(family: str) -> None:
    engine("executorch")
    assert set(_calls(family_net(family, whole=True))) <= {"executorch_call_delegate", "getitem"}


@pytest.mark.slow
@pytest.mark.parametrize("model", ["kws", "ic"])
def test_published_models(shared: Path, model: str) -> None:
    engine("executorch")
    assert verify(tflite.read(shared / "models" / f"{model}.tflite"), runtimes=["executorch"], count=12).passes
