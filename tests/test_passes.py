"""Passes, before and after, on the printed graph; each must keep every output to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from cases import samples
from graphs import random_graph
from ratti import registry
from ratti.graph import interpreter, passes
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.graph.passes import fold_constants, fold_padding, unfold_padding
from ratti.graph.text import to_text
from ratti.ops.add import Add
from ratti.ops.base import Activation, int8
from ratti.ops.conv2d import Conv2D
from ratti.ops.depthwise_conv2d import DepthwiseConv2D
from ratti.ops.fully_connected import FullyConnected
from ratti.ops.max_pool2d import MaxPool2D
from ratti.ops.pad import Pad
from ratti.ops.relu import Relu
from ratti.ops.reshape import Reshape
from ratti.types import DType, Quant, TensorType

FRAME = Pad(((0, 0), (1, 0), (0, 1), (0, 0)))


def padded(readers: int = 1, keep: bool = False, pad: Pad = FRAME) -> Graph:
    """PAD before one or two convolutions; with `keep` the padded map is an output too."""
    b = GraphBuilder("padded")
    x = b.input("x", int8((1, 4, 4, 2), 0.1, 7))
    p = b.quantized(pad, [x], 0.1, 7, "pad")
    c = b.shape(p)[3]
    w = b.constant("w", np.arange(-9, 9 * c * 2 - 9, dtype=np.int8).reshape(2, 3, 3, c), Quant.per_tensor(0.02, 0))
    v = b.constant("v", np.arange(4 * c, dtype=np.int8).reshape(1, 2, 2, c), Quant.per_tensor(0.02, 0))
    outputs = [b.quantized(Conv2D(stride=(2, 1), activation=Activation.RELU), [p, w], 0.3, -128, "conv")]
    if readers > 1:
        outputs.append(b.quantized(DepthwiseConv2D(), [p, v], 0.2, 1, "depthwise"))
    return b.build([*outputs, p] if keep else outputs)


def test_padding_is_folded_into_all_its_readers() -> None:
    before = padded(2)
    assert to_text(before) == (
        "graph padded\n"
        "  input x int8[1,4,4,2] 0.1@7\n"
        "  pad: pad(padding=((0, 0), (1, 0), (0, 1), (0, 0))) x -> pad_out int8[1,5,5,2] 0.1@7\n"
        "  conv: conv2d(stride=(2, 1), activation=RELU) pad_out, w int8[2,3,3,2] 0.02@0"
        " -> conv_out int8[1,2,3,2] 0.3@-128\n"
        "  depthwise: depthwise_conv2d() pad_out, v int8[1,2,2,2] 0.02@0 -> depthwise_out int8[1,4,4,2] 0.2@1\n"
        "  output conv_out\n"
        "  output depthwise_out\n"
    )
    assert to_text(fold_padding.run(before)) == (
        "graph padded\n"
        "  input x int8[1,4,4,2] 0.1@7\n"
        "  conv: conv2d(stride=(2, 1), padding=(1, 0, 0, 1), activation=RELU) x, w int8[2,3,3,2] 0.02@0"
        " -> conv_out int8[1,2,3,2] 0.3@-128\n"
        "  depthwise: depthwise_conv2d(padding=(1, 0, 0, 1)) x, v int8[1,2,2,2] 0.02@0"
        " -> depthwise_out int8[1,4,4,2] 0.2@1\n"
        "  output conv_out\n"
        "  output depthwise_out\n"
    )


def test_padding_is_unfolded_where_tflite_cannot_express_it() -> None:
    folded = fold_padding.run(padded(2))
    text = to_text(unfold_padding.run(folded))
    assert "  conv_pad: pad(padding=((0, 0), (1, 0), (0, 1), (0, 0))) x -> x_padded int8[1,5,5,2] 0.1@7\n" in text
    assert "  conv: conv2d(stride=(2, 1), activation=RELU) x_padded, w int8[2,3,3,2] 0.02@0 -> conv_out" in text
    assert (
        "  depthwise_pad: pad(padding=((0, 0), (1, 0), (0, 1), (0, 0))) x -> x_padded_2 int8[1,5,5,2] 0.1@7\n" in text
    )
    again = unfold_padding.run(unfold_padding.run(folded))
    assert to_text(again) == text


def not_foldable() -> dict[str, Graph]:
    other = GraphBuilder("other_reader")
    x = other.input("x", int8((1, 4, 4, 2), 0.1, 7))
    p = other.quantized(FRAME, [x], 0.1, 7)
    w = other.constant("w", np.ones((2, 3, 3, 2), np.int8), Quant.per_tensor(0.02, 0))
    outputs = [other.quantized(Conv2D(), [p, w], 0.3, 0), other.quantized(MaxPool2D(), [p], 0.1, 7)]
    inner = GraphBuilder("padding_inside")
    x = inner.input("x", int8((1, 4, 4, 2), 0.1, 7))
    p = inner.quantized(FRAME, [x], 0.1, 7)
    w = inner.constant("w", np.ones((2, 3, 3, 2), np.int8), Quant.per_tensor(0.02, 0))
    own = inner.quantized(Conv2D(padding=(0, 1, 1, 0)), [p, w], 0.3, 0)
    return {
        "output": padded(keep=True),
        "channels": padded(pad=Pad(((0, 0), (1, 0), (0, 1), (0, 1)))),
        "more than the window": padded(pad=Pad(((0, 0), (3, 0), (0, 0), (0, 0)))),
        "a reader that is no convolution": other.build(outputs),
        "a convolution with padding": inner.build([own]),
    }


@pytest.mark.parametrize("name", not_foldable())
def test_padding_stays_where_folding_would_be_wrong(name: str) -> None:
    graph = not_foldable()[name]
    assert to_text(fold_padding.run(graph)) == to_text(graph)


def test_constants_are_folded() -> None:
    b = GraphBuilder("constants")
    x = b.input("x", int8((1, 2, 3), 0.1, 0))
    c = b.constant("c", np.arange(6, dtype=np.int8).reshape(1, 6), Quant.per_tensor(0.1, 0))
    view = b.quantized(Reshape((1, 2, 3)), [c], 0.1, 0, "view")
    relu = b.quantized(Relu(), [view], 0.2, 0, "relu")
    graph = b.build([b.quantized(Add(), [x, relu], 0.2, 0, "add")])
    assert to_text(fold_constants.run(graph)) == (
        "graph constants\n"
        "  input x int8[1,2,3] 0.1@0\n"
        "  add: add() x, relu_out int8[1,2,3] 0.2@0 -> add_out int8[1,2,3] 0.2@0\n"
        "  output add_out\n"
    )


GRAPHS = [padded(), padded(2), *not_foldable().values(), *(random_graph(k, 15) for k in range(12))]


@pytest.mark.parametrize("name", registry.modules("ratti.graph.passes"))
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda g: g.name)
def test_every_pass_keeps_every_output(graph: Graph, name: str) -> None:
    before = to_text(graph)
    after = registry.load("ratti.graph.passes", name).run(graph)
    assert to_text(graph) == before
    assert (after.inputs, after.outputs, after.metadata) == (graph.inputs, graph.outputs, graph.metadata)
    assert to_text(registry.load("ratti.graph.passes", name).run(after)) == to_text(after)
    for x in samples([graph.type(n) for n in graph.inputs], 3):
        for a, b in zip(interpreter.run(graph, x).values(), interpreter.run(after, x).values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_pipeline_names_passes() -> None:
    assert set(passes.PIPELINE) <= set(registry.modules("ratti.graph.passes"))
    graph = padded(2)
    assert to_text(passes.run_pipeline(graph)) == to_text(fold_padding.run(graph))


def test_text_shows_what_differs() -> None:
    b = GraphBuilder("text")
    x = b.input("x", TensorType((1, 2), DType.FLOAT32))
    w = b.constant("w", np.ones((3, 2), np.float32))
    graph = b.build([b.float(FullyConnected(), [x, w], "fc"), w])
    assert to_text(graph) == (
        "graph text\n"
        "  input x float32[1,2]\n"
        "  fc: fully_connected() x, w float32[3,2] -> fc_out float32[1,3]\n"
        "  output fc_out\n"
        "  output w float32[3,2]\n"
    )
