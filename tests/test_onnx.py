"""The ONNX reader against ONNX Runtime: float within rounding, int8 within one step of each operator."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from onnx_files import OPS, answers, given, inputs, net, quantized, single, taken
from ratti.formats import onnx as door
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.ir import Graph
from ratti.graph.passes import run_pipeline
from ratti.ops.reshape import Reshape
from ratti.ops.transpose import Transpose
from ratti.samples import make_inputs
from ratti.types import Array

# By ONNX Runtime's quantization of such a model.
LEFT_FLOAT = (
    "relu", "global_max", "reduce_mean", "reduce_rows", "sub", "maximum", "tanh", "hard_swish", "prelu", "div"
)


def outputs(graph: Graph, x: list[Array]) -> list[Array]:
    name = graph.outputs[0]
    return [taken(graph, name, interpreter.run(graph, [given(graph, v)])[name]) for v in x]


def assert_near(graph: Graph, data: bytes, x: list[Array], tolerance: float) -> None:
    for ours, theirs in zip(outputs(graph, x), answers(data, x), strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", OPS)
def test_float_ops_are_the_runtimes(name: str) -> None:
    data = single(OPS[name]).SerializeToString()
    graph = door.parse(data)
    assert graph.is_float
    assert_near(run_pipeline(graph), data, inputs((1, 6, 8, 7), 3), 1e-5)


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
@pytest.mark.parametrize("name", [n for n in OPS if n not in LEFT_FLOAT])
def test_int8_ops_are_within_one_step(name: str, unsigned: bool, tmp_path: Path) -> None:
    path = quantized(single(OPS[name]), tmp_path, unsigned)
    graph = door.read(path)
    assert graph.is_quantized
    step = graph.type(graph.outputs[0]).scale
    for checked in (graph, run_pipeline(graph)):
        assert_near(checked, path.read_bytes(), inputs((1, 6, 8, 7), 4, seed=5), 1.001 * step)


# Not uint8 operators on integers with scales per channel: ONNX Runtime gives them int8 weights, and multiplies uint8 by
# int8 with sums that saturate at 16 bits on x86 cores without VNNI (11 steps off, in one convolution).
@pytest.mark.parametrize(
    "unsigned, per_channel, integers",
    [c for c in itertools.product((False, True), repeat=3) if not all(c)],
    ids=lambda on: "yes" if on else "no",
)
def test_a_quantized_net_is_near(unsigned: bool, per_channel: bool, integers: bool, tmp_path: Path) -> None:
    path = quantized(net(), tmp_path, unsigned, per_channel, integers)
    graph = door.read(path)
    assert graph.is_quantized and graph.metadata["channels_last"] == "x"
    x = inputs((1, 3, 16, 16), 10, seed=7)
    steps = np.abs(np.stack(outputs(run_pipeline(graph), x)) - np.stack(answers(path.read_bytes(), x)))
    steps /= graph.type(graph.outputs[0]).scale
    assert steps.max() < 2.01 and (steps > 0.5).mean() < 0.3


@pytest.mark.parametrize("normalized", [False, True])
def test_a_converted_net_contains_no_movement(normalized: bool) -> None:
    data = net(normalized).SerializeToString()
    graph = door.parse(data)
    assert not any(isinstance(n.op, (Transpose, Reshape)) for n in graph.nodes)
    after = run_pipeline(graph)
    names = ["conv2d", "depthwise_conv2d", "conv2d", "add", "max_pool2d", "conv2d", "mean", "fully_connected"]
    assert [n.op.name for n in after.nodes] == names
    assert_near(after, data, inputs((1, 3, 16, 16), 3), 1e-4)


def test_a_net_written_for_channels_last_keeps_its_input() -> None:
    """As converters from TensorFlow write it: a transpose behind the input."""
    model = single(
        lambda b: b.conv(b.node("Transpose", "x", perm=[0, 3, 1, 2]), 7, 4, (3, 3)), (1, 6, 8, 7)
    )
    data = model.SerializeToString()
    graph = door.parse(data)
    assert graph.type("x").shape == (1, 6, 8, 7) and [n.op.name for n in graph.nodes] == ["conv2d"]
    x = inputs((1, 6, 8, 7), 2)
    for ours, theirs in zip((interpreter.run(graph, [v]) for v in x), answers(data, x), strict=True):
        np.testing.assert_allclose(next(iter(ours.values())), np.moveaxis(theirs, 1, -1), atol=1e-5)


def test_one_dimension_is_a_map_of_one_row() -> None:
    make = lambda b: b.node(  # noqa: E731
        "MaxPool", b.node("Relu", b.conv("x", 5, 6, (3,), pads=[1, 1], strides=[2])), kernel_shape=[2], strides=[2]
    )
    data = single(make, (1, 5, 16)).SerializeToString()
    graph = door.parse(data)
    assert not any(isinstance(n.op, Transpose) for n in graph.nodes)
    assert_near(run_pipeline(graph), data, inputs((1, 5, 16), 3), 1e-5)


def test_an_open_batch_is_one() -> None:
    make = lambda b: b.node("Reshape", b.node("Relu", "x"), shape_of_rows(b))  # noqa: E731

    def shape_of_rows(b):  # type: ignore[no-untyped-def]
        first = b.node("Gather", b.node("Shape", "x"), b.constant(np.array(0)), axis=0)
        return b.node("Concat", b.node("Unsqueeze", first, b.ints(0)), b.ints(-1), axis=0)

    graph = door.parse(single(make, ("batch", 2, 3)).SerializeToString())
    assert (graph.type("x").shape, graph.type(graph.outputs[0]).shape) == ((1, 2, 3), (1, 6))


@pytest.mark.torch
def test_a_net_from_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch import nn

    torch.manual_seed(0)

    class Shuffle(nn.Module):
        def forward(self, x):  # type: ignore[no-untyped-def]
            return x.view(1, 2, 4, 8, 8).transpose(1, 2).reshape(1, 8, 8, 8)

    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.BatchNorm2d(8),
        nn.ReLU6(), Shuffle(), nn.Conv2d(8, 12, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(192, 5),
        nn.Softmax(1),
    ).eval()
    path = tmp_path / "torch.onnx"
    x = inputs((1, 3, 16, 16), 2)
    with torch.no_grad():
        torch.onnx.export(body, (torch.from_numpy(x[0]),), path, dynamo=False)
        expected = [body(torch.from_numpy(v)).numpy() for v in x]
    graph = run_pipeline(door.read(path))
    assert not any(isinstance(n.op, (Transpose, Reshape)) for n in graph.nodes)
    for ours, theirs in zip(outputs(graph, x), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("unsigned", [False, True], ids=["int8", "uint8"])
@pytest.mark.parametrize("name", ["kws", "ic"])
def test_what_the_writer_wrote_is_read_to_the_last_bit(shared: Path, name: str, unsigned: bool) -> None:
    graph = tflite.read(shared / "models" / f"{name}.tflite")
    again = run_pipeline(door.parse(door.serialize(graph, unsigned)))
    assert [n.op.name for n in again.nodes] == [n.op.name for n in run_pipeline(graph).nodes]
    for x in make_inputs(graph, 6):
        for a, b in zip(interpreter.run(graph, x).values(), interpreter.run(again, x).values(), strict=True):
            np.testing.assert_array_equal(a, b)
