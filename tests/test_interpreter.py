"""The interpreter on whole graphs: branches, shared values, several inputs and outputs, batches, bad inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cases import samples
from graphs import random_graph
from ratti.errors import InputError, UnsupportedError
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.batch import with_batch
from ratti.graph.builder import GraphBuilder, identifier, unique
from ratti.graph.ir import Graph, Node, Value
from ratti.ops.add import Add
from ratti.ops.base import int8
from ratti.ops.fully_connected import FullyConnected
from ratti.ops.mean import Mean
from ratti.ops.relu import Relu
from ratti.ops.reshape import Reshape
from ratti.ops.softmax import Softmax
from ratti.types import DType, Quant, TensorType

X = int8((1, 3, 4), 0.1, -5)


def residual() -> Graph:
    """Two inputs; a value that three nodes read and that is an output; an output that is a view of an input."""
    b = GraphBuilder("residual")
    x, y = b.input("x", X), b.input("y", X)
    relu = b.quantized(Relu(), [x], 0.1, -128)
    one = b.quantized(Add(), [relu, y], 0.2, 3)
    two = b.quantized(Add(), [one, relu], 0.2, -7)
    three = b.quantized(Add(), [two, relu], 0.3, 11)
    view = b.quantized(Reshape((1, 12)), [y], 0.1, -5)
    return b.build([three, relu, view])


def with_constants() -> Graph:
    """A constant that is added, a constant that is an output, an input that is an output, an output named twice."""
    b = GraphBuilder("constants")
    x = b.input("x", X)
    c = b.constant("c", np.arange(12, dtype=np.int8).reshape(1, 3, 4), Quant.per_tensor(0.2, 1))
    total = b.quantized(Add(), [x, c], 0.25, 2)
    return b.build([total, c, x, total])


def unread() -> Graph:
    """A node and an input that nothing reads."""
    b = GraphBuilder("unread")
    x, _ = b.input("x", X), b.input("idle", X)
    y = b.quantized(Relu(), [x], 0.1, 0)
    b.quantized(Relu(), [y], 0.1, 0)
    return b.build([y])


GRAPHS = {
    g.name: g for g in (residual(), with_constants(), unread(), *(random_graph(k, 12, f"r{k}") for k in range(8)))
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", GRAPHS)
def test_whole_graphs_equal_tflite_micro(name: str) -> None:
    from ratti.runtimes.tflm import Session

    graph = GRAPHS[name]
    session = Session(graph)
    for x in samples([graph.type(n) for n in graph.inputs], 4):
        results = interpreter.run(graph, x)
        assert list(results) == list(dict.fromkeys(graph.outputs))
        for name, got in zip(graph.outputs, session.run(x), strict=True):
            np.testing.assert_array_equal(got, results[name])


@pytest.mark.parametrize("name", GRAPHS)
def test_every_graph_in_batches(name: str) -> None:
    graph = GRAPHS[name]
    inputs = samples([graph.type(n) for n in graph.inputs], 4)
    results = interpreter.run_batch(graph, [np.concatenate(c) for c in zip(*inputs, strict=True)])
    assert len(results) == len(graph.outputs)
    for k, name in enumerate(graph.outputs):
        want = np.concatenate([interpreter.run(graph, x)[name] for x in inputs])
        np.testing.assert_array_equal(results[k], want)


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_do_not_change_results(chunk: int, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = tflite.read(shared / "models" / "kws.tflite")
    x = np.random.default_rng(3).integers(-128, 128, (15, 49, 10, 1)).astype(np.int8)
    want = [interpreter.run(graph, [v[None]])[graph.outputs[0]] for v in x]
    monkeypatch.setattr(interpreter, "CHUNK", chunk)
    (got,) = interpreter.run_batch(graph, [x])
    np.testing.assert_array_equal(got, np.concatenate(want))
    assert len(np.unique(got, axis=0)) > 5


def test_ops_that_mix_samples_run_one_by_one() -> None:
    b = GraphBuilder("mixing")
    graph = b.build([b.quantized(Mean((0, 1), keep_dims=True), [b.input("x", X)], 0.05, 0)])
    with pytest.raises(ValueError, match="mean over the first dimension"):
        with_batch(graph, 2)
    b = GraphBuilder("rank1")
    graph1 = b.build([b.quantized(Softmax(), [b.input("x", int8((6,), 0.1, 0))], 1 / 256, -128)])
    with pytest.raises(ValueError, match="softmax over the only dimension"):
        with_batch(graph1, 2)
    rng = np.random.default_rng(0)
    for g, shape in ((graph, (3, 4)), (graph1, ())):
        x = rng.integers(-128, 128, (5 * (1 if shape else 6), *shape)).astype(np.int8)
        (got,) = interpreter.run_batch(g, [x])
        rows = x.reshape(5, *g.type("x").shape)
        np.testing.assert_array_equal(got, np.concatenate([next(iter(interpreter.run(g, [r]).values())) for r in rows]))


def test_keeping_every_activation() -> None:
    graph = residual()
    x = samples([X, X], 1)[-1]
    values = interpreter.run(graph, x, keep=True)
    assert set(values) == {*graph.inputs, *(o for n in graph.nodes for o in n.outputs)}
    assert all(values[n].shape == graph.type(n).shape for n in values)


def test_inputs_are_not_changed() -> None:
    x = samples([X, X], 1)[-1]
    before = [a.copy() for a in x]
    interpreter.run(residual(), x)
    np.testing.assert_array_equal(x, before)


def test_bad_inputs_are_named() -> None:
    graph, good = residual(), np.zeros(X.shape, np.int8)
    for inputs, text in (
        ([good], "takes 2 inputs, got 1"),
        ([good, good.astype(np.float32)], r"input 'y' .* takes int8\[1, 3, 4\], got float32"),
        ([good, good[:, :2]], r"input 'y' .* takes int8\[1, 3, 4\], got int8\[1, 2, 4\]"),
    ):
        with pytest.raises(InputError, match=text):
            interpreter.run(graph, inputs)
        with pytest.raises(InputError):
            interpreter.run_batch(graph, inputs)
    with pytest.raises(InputError, match="2 and 3 samples"):
        interpreter.run_batch(graph, [np.repeat(good, 2, 0), np.repeat(good, 3, 0)])
    with pytest.raises(InputError, match="0 samples"):
        interpreter.run_batch(graph, [good[:0], good[:0]])


def test_float_graphs() -> None:
    b = GraphBuilder("real")
    x = b.input("x", TensorType((1, 3), DType.FLOAT32))
    w = b.constant("w", np.array([[1.0, -2.0, 0.5]], np.float32))
    graph = b.build([b.float(Relu(), [b.float(FullyConnected(), [x, w])])])
    assert not graph.is_quantized
    rows = np.array([[1, 1, 1], [3, 1, 2], [-1, -1, -1]], np.float32)
    (got,) = interpreter.run_batch(graph, [rows])
    assert got.ravel().tolist() == [0.0, 2.0, 0.5] and got.dtype == np.float32


def make(**changes: object) -> Graph:
    """A graph of one relu, with something changed."""
    values = {
        "x": Value("x", X),
        "y": Value("y", int8(X.shape, 0.2, 0)),
        "c": Value("c", X, np.zeros(X.shape, np.int8)),
    }
    parts = {
        "name": "g",
        "inputs": ("x",),
        "outputs": ("y",),
        "nodes": (Node("n", Relu(), ("x",), ("y",)),),
        "values": values,
    }
    return Graph(**{**parts, **changes})  # type: ignore[arg-type]


RELU = Node("n", Relu(), ("x",), ("y",))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"inputs": ("z",)}, "unknown value 'z'"),
        ({"outputs": ("z",)}, "unknown value 'z'"),
        ({"nodes": (Node("n", Relu(), ("z",), ("y",)),)}, "unknown value 'z'"),
        ({"nodes": (Node("n", Relu(), ("x",), ("z",)),)}, "unknown value 'z'"),
        ({"inputs": ("x", "x")}, "'x' .* twice"),
        ({"inputs": ("x", "c")}, "'c' .* constant"),
        ({"inputs": ()}, "reads 'x' before"),
        ({"nodes": ()}, "computed by no node"),
        ({"nodes": (RELU, RELU)}, "two nodes called 'n'"),
        ({"nodes": (RELU, Node("m", Relu(), ("x",), ("y",)))}, "writes 'y', which already"),
        ({"nodes": (Node("n", Relu(), ("y",), ("y",)),)}, "reads 'y' before"),
        ({"nodes": (Node("n", Relu(), ("x",), ("c",)),)}, "writes 'c', which already"),
        ({"nodes": (Node("n", Relu(), ("x", "x"), ("y",)),)}, "has 2 inputs; it takes input"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_graphs_are_checked_when_made(changes: dict[str, object], text: str) -> None:
    assert make().macs() == 0
    with pytest.raises(ValueError, match=text):
        make(**changes)


def test_types_are_checked_when_graphs_are_made() -> None:
    with pytest.raises(UnsupportedError, match=r"relu 'n': the output should be .*3, 4.*2, 4"):
        make(values={"x": Value("x", X), "y": Value("y", int8((1, 2, 4), 0.2, 0))})
    with pytest.raises(UnsupportedError, match=r"relu 'n': .*int8 with one scale"):
        make(values={"x": Value("x", X), "y": Value("y", TensorType(X.shape, DType.INT16, Quant.per_tensor(0.1, 0)))})
    with pytest.raises(ValueError, match="constant 'c' is float64"):
        Value("c", X, np.zeros(X.shape))


def test_names_become_identifiers_and_unique() -> None:
    assert [identifier(n) for n in ("a/b:0", "3x", "", "ok_1", "é")] == ["a_b_0", "n_3x", "unnamed", "ok_1", "unnamed"]
    assert unique("a", {"a", "a_2"}) == "a_3" and unique("b", {"a"}) == "b"
    b = GraphBuilder("names")
    assert [b.input("x", X) for _ in range(3)] == ["x", "x_2", "x_3"]
    assert b.input("x_2", X) == "x_2_2" and b.input("x", X) == "x_4"
