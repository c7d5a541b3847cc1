"""Whole nets of int16 activations and int8 weights: interpreter, tflite-micro, this computer and cores agree."""

from __future__ import annotations

import numpy as np
import pytest

from cases import samples
from ratti import nets
from ratti.emit import c, cpp, rust
from ratti.errors import UnsupportedError
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.dequantized import dequantized
from ratti.graph.ir import Graph
from ratti.graph.passes import run_pipeline
from ratti.graph.widened import widened
from ratti.kernels import FEATURES
from ratti.ops.add import Add
from ratti.ops.base import int8, random_filter
from ratti.ops.concat import Concat
from ratti.ops.conv2d import Conv2D
from ratti.ops.fully_connected import FullyConnected
from ratti.ops.logistic import Logistic
from ratti.ops.max_pool2d import MaxPool2D
from ratti.ops.mean import Mean
from ratti.ops.mul import Mul
from ratti.ops.pad import Pad
from ratti.ops.relu import Relu
from ratti.ops.softmax import Softmax
from ratti.ops.sub import Sub
from ratti.ops.tanh import Tanh
from ratti.plan import make_plan
from ratti.types import DType
from ratti.verbs.verify import verify


def gated() -> Graph:
    """A net with most ops that int16 has, none of them twice in a row."""
    b, rng = GraphBuilder("gated"), np.random.default_rng(3)
    x = b.input("x", int8((1, 8, 8, 3), 0.02, 0))
    x = b.quantized(Pad(((0, 0), (1, 1), (1, 1), (0, 0))), [x], 0.02, 0, "pad")
    weight, bias = random_filter(rng, (6, 3, 3, 3), 0, 0.02, 6)
    names = [b.constant(f"conv_{k}", o.data, o.type.quant) for k, o in enumerate((weight, bias)) if o.data is not None]
    x = b.quantized(Conv2D(), [x, *names], 0.05, -3, "conv")
    gate = b.quantized(Logistic(), [x], 1 / 256, -128, "gate")
    bent = b.quantized(Tanh(), [x], 1 / 128, 0, "bent")
    x = b.quantized(Mul(), [gate, bent], 0.008, 0, "mul")
    y = b.quantized(Sub(), [gate, bent], 0.016, 0, "sub")
    y = b.quantized(Relu(), [b.quantized(Add(), [x, y], 0.02, 0, "add")], 0.008, 0, "relu")
    x = b.quantized(MaxPool2D(), [b.quantized(Concat(3), [x, y], 0.008, 0, "concat")], 0.008, 0, "pool")
    x = b.quantized(Mean((1, 2)), [x], 0.004, 0, "mean")
    weight, bias = random_filter(rng, (5, 12), 0, 0.004, 5)
    names = [b.constant(f"fc_{k}", o.data, o.type.quant) for k, o in enumerate((weight, bias)) if o.data is not None]
    x = b.quantized(FullyConnected(), [x, *names], 0.05, 0, "fc")
    return b.build([b.quantized(Softmax(), [x], 1 / 256, -128, "softmax")])


def graphs() -> list[Graph]:
    return [gated(), *(nets.random_graph(nets.spec(i)) for i in ("micro-1.0-8", "mobilenet_v2-0.1-32"))]


def test_wide_graphs_are_closer_to_the_float_model() -> None:
    """Of a net whose ranges hold: where codes saturate, more bits do not help."""
    graph = nets.random_graph(nets.spec("micro-1.0-8"))
    wide, real = widened(graph), dequantized(graph)
    assert {wide.type(n).dtype for node in wide.nodes for n in node.outputs} == {DType.INT16}
    source, errors = graph.type(graph.inputs[0]), {}
    for model in (graph, wide):
        type, out = model.type(model.inputs[0]), model.type(model.outputs[0])
        errors[model] = 0.0
        for (codes,) in samples([source], 4)[5:]:
            floats = (codes.astype(np.float32) - source.zero_point) * np.float32(source.scale)
            given = np.clip(np.rint(floats / type.scale) + type.zero_point, *type.dtype.limits).astype(type.dtype.numpy)
            (got,) = interpreter.run(model, [given]).values()
            (want,) = interpreter.run(real, [floats]).values()
            errors[model] += float(np.abs((got.astype(np.float64) - out.zero_point) * out.scale - want).sum())
    assert errors[wide] < errors[graph] / 4


@pytest.mark.toolchain
@pytest.mark.oracle
@pytest.mark.parametrize("graph", graphs(), ids=lambda g: g.name)
def test_wide_graphs_are_equal_everywhere(graph: Graph) -> None:
    rows = verify(widened(graph), ["stm32f446re", "esp32c3"], ["tflm", "host:c"], count=6).rows
    assert [(r.differ, r.skipped) for r in rows] == [(0, "")] * 5


def test_files_keep_wide_graphs() -> None:
    wide = widened(gated())
    again = tflite.parse(tflite.serialize(wide), wide.name)
    for x in samples([wide.type(n) for n in wide.inputs], 3):
        for a, b in zip(interpreter.run(wide, x).values(), interpreter.run(again, x).values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_other_languages_refuse_them_in_words() -> None:
    graph = run_pipeline(widened(gated()))
    with pytest.raises(UnsupportedError, match="no Rust kernel computes conv2d 'conv'"):
        rust.choose(graph)
    with pytest.raises(UnsupportedError, match="'x' is int16; the C"):
        cpp.emit(c.emit(make_plan(graph, FEATURES["portable"]), "wide"), "wide")
