"""TVM in integers: equal to the interpreter to the last bit, no float between the first layer and the last."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import toys
from engines import differences, each_family, engine, family_net, largest_difference, supported_cases
from ratti import nets, ops
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.dequantized import dequantized
from ratti.graph.ir import Graph
from ratti.ops.base import Op
from ratti.verbs.export import export

pytestmark = pytest.mark.toolchain  # zig links the library
SLOW_OPS = 100  # cases of an op in the slow test; CI takes the first


@pytest.fixture(scope="module")
def graph() -> Graph:
    return nets.random_graph(toys.spec())


@pytest.mark.parametrize("per_op", [1, pytest.param(SLOW_OPS, marks=pytest.mark.slow)])
def test_every_op(per_op: int) -> None:
    found = engine("tvm")
    cases = supported_cases(found, per_op)
    assert differences(found, cases) == {}


def test_every_int8_op_is_taken() -> None:
    assert {c.op.name for c in supported_cases(engine("tvm"), 1)} == set(ops.names())


def test_float_models_come_in_by_onnx(graph: Graph) -> None:
    found, real = engine("tvm"), dequantized(graph)
    x = np.random.default_rng(3).standard_normal(real.type(real.inputs[0]).shape).astype(np.float32)
    (want,), (got,) = interpreter.run(real, [x]).values(), found.run(real)([x])
    assert np.abs(want - got).max() < 1e-4 * np.abs(want).max()


def test_a_whole_net(graph: Graph) -> None:
    assert largest_difference(engine("tvm"), graph) == 0


def test_no_float_in_the_compiled_code(graph: Graph) -> None:
    """In LLVM's code of the whole program; and weights are int8 constants."""
    engine("tvm")
    from tvm import relax

    from ratti.runtimes import tvm as runtime

    assert runtime.float_instructions(runtime.compile(graph).mod) == []
    weights = {graph.values[n.inputs[1]].data.size for n in graph.nodes if len(n.inputs) == 3}
    found: list[tuple[str, int]] = []

    def visit(expression: object) -> None:
        if type(expression).__name__ == "GenericConst":
            data = expression.value.numpy()
            found.append((data.dtype.name, data.size))

    relax.analysis.post_order_visit(runtime.module(graph)["main"], visit)
    assert {dtype for dtype, _ in found} == {"int8", "int32"}
    assert weights <= {size for dtype, size in found if dtype == "int8"}


def test_the_scan_for_floats_sees_one() -> None:
    engine("tvm")
    import tvm
    from tvm import te

    from ratti.runtimes.tvm import float_instructions

    x = te.placeholder((4,), "float32", "x")
    function = te.create_prim_func([x, te.compute((4,), lambda i: x[i] * x[i] + tvm.tirx.const(1.5, "float32"), "y")])
    built = tvm.build(tvm.IRModule({"main": function.with_attr("global_symbol", "main")}), target="llvm")
    assert any("fmuladd" in line for line in float_instructions(built))


def test_cross_compiled_for_aarch64(graph: Graph, tmp_path: Path) -> None:
    engine("tvm")
    paths = export(graph, ["tvm", "tvm:aarch64"], tmp_path)
    assert [p.name for p in paths] == ["toy.so", "toy_aarch64.so"]
    machines = {p.name: int.from_bytes(p.read_bytes()[18:20], "little") for p in paths}
    assert machines["toy_aarch64.so"] == 183  # EM_AARCH64
    assert all(p.read_bytes()[:4] == b"\x7fELF" for p in paths)


def test_another_process_runs_the_file(graph: Graph, tmp_path: Path) -> None:
    """With TVM alone: the library holds the weights."""
    engine("tvm")
    (path,) = export(graph, ["tvm"], tmp_path)
    code = (
        "import sys, numpy as np, tvm; from tvm import relax\n"
        "m = relax.VirtualMachine(tvm.runtime.load_module(sys.argv[1]), tvm.cpu())\n"
        "print(m['main'](tvm.runtime.tensor(np.zeros((1, 8, 8, 1), np.int8)))[0].numpy().ravel().tolist())"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (want,) = interpreter.run(graph, [np.zeros((1, 8, 8, 1), np.int8)]).values()
    assert done.stdout.strip() == str(want.ravel().tolist())


def test_an_unknown_op_is_named(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    found = engine("tvm")
    from ratti.runtimes import _tvm

    def only_adds(op: Op) -> bool:
        return op.name == "add"

    monkeypatch.setattr(_tvm, "supported", only_adds)
    assert found.supports(graph).startswith("no integer loops for conv2d, ")


@each_family
def test_every_family(family: str, whole: bool) -> None:
    assert largest_difference(engine("tvm"), family_net(family, whole)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("model", ["kws", "ic"])
def test_published_models(shared: Path, model: str) -> None:
    assert largest_difference(engine("tvm"), tflite.read(shared / "models" / f"{model}.tflite")) == 0
