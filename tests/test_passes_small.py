"""Identities, activations, equal constants and nodes: before and after on the printed graph."""

from __future__ import annotations

import numpy as np
import pytest

from cases import samples
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.graph.passes import drop_identities, fuse_activations, share_equals
from ratti.graph.text import to_text
from ratti.ops.add import Add
from ratti.ops.average_pool2d import AveragePool2D
from ratti.ops.base import Activation, int8
from ratti.ops.conv2d import Conv2D
from ratti.ops.max_pool2d import MaxPool2D
from ratti.ops.pad import Pad
from ratti.ops.relu import Relu
from ratti.ops.relu6 import Relu6
from ratti.ops.requantize import Requantize
from ratti.types import DType, Quant, TensorType


def assert_equal(before: Graph, after: Graph) -> None:
    for x in samples([before.type(n) for n in before.inputs], 2):
        for a, b in zip(interpreter.run(before, x).values(), interpreter.run(after, x).values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_ops_without_effect_disappear() -> None:
    b = GraphBuilder("idle")
    q = (0.1, -128)
    x = b.input("x", int8((1, 4, 4, 2), *q))
    y = b.quantized(Requantize(), [x], *q, "requantize")
    y = b.quantized(Relu(), [y], *q, "relu_above_the_floor")
    y = b.quantized(MaxPool2D((1, 1), (1, 1)), [y], *q, "pool")
    y = b.quantized(Pad(((0, 0),) * 4), [y], *q, "pad")
    kept = b.quantized(Relu6(), [y], *q, "relu6")  # 6 is the code -68
    before = b.build([b.quantized(AveragePool2D((1, 1), (1, 1)), [kept], *q, "last"), kept])
    after = drop_identities.run(before)
    assert to_text(after) == (
        "graph idle\n"
        "  input x int8[1,4,4,2] 0.1@-128\n"
        "  relu6: relu6() x -> relu6_out int8[1,4,4,2] 0.1@-128\n"
        "  last: average_pool2d(kernel=(1, 1), stride=(1, 1)) relu6_out -> last_out int8[1,4,4,2] 0.1@-128\n"
        "  output last_out\n"
        "  output relu6_out\n"
    )
    assert_equal(before, after)


def test_an_output_keeps_its_name() -> None:
    b = GraphBuilder("named")
    x = b.input("x", int8((1, 4), 0.1, 5))
    first = b.quantized(Relu(), [x], 0.2, -3, "first")
    second = b.quantized(Requantize(), [first], 0.2, -3, "second")
    before = b.build([second, b.quantized(Add(), [first, second], 0.2, -3, "add")])
    after = drop_identities.run(before)
    assert to_text(after) == (
        "graph named\n"
        "  input x int8[1,4] 0.1@5\n"
        "  first: relu() x -> second_out int8[1,4] 0.2@-3\n"
        "  add: add() second_out, second_out -> add_out int8[1,4] 0.2@-3\n"
        "  output second_out\n"
        "  output add_out\n"
    )
    assert_equal(before, after)


def test_an_input_that_is_an_output_is_written_by_somebody() -> None:
    b = GraphBuilder("through")
    x = b.input("x", int8((1, 4), 0.1, 5))
    graph = b.build([b.quantized(Requantize(), [x], 0.1, 5)])
    assert to_text(drop_identities.run(graph)) == to_text(graph)


def convolution(b: GraphBuilder, x: str, activation: Activation = Activation.NONE) -> str:
    w = b.constant("w", np.array([[-3, 5], [7, -120]], np.int8).reshape(2, 1, 1, 2), Quant.per_tensor(0.02, 0))
    return b.quantized(Conv2D(activation=activation), [x, w], 0.05, -20, "conv")


def test_activations_are_fused() -> None:
    b = GraphBuilder("activations")
    x = b.input("x", int8((1, 4, 4, 2), 0.1, 7))
    y = b.quantized(Relu(), [convolution(b, x)], 0.05, -20, "relu")
    y = b.quantized(Relu6(), [y], 0.05, -20, "relu6")
    y = b.quantized(Add(), [y, y], 0.1, 4, "add")
    before = b.build([b.quantized(Relu(), [y], 0.1, 4, "last")])
    after = fuse_activations.run(before)
    assert to_text(after) == (
        "graph activations\n"
        "  input x int8[1,4,4,2] 0.1@7\n"
        "  conv: conv2d(activation=RELU6) x, w int8[2,1,1,2] 0.02@0 -> relu6_out int8[1,4,4,2] 0.05@-20\n"
        "  add: add(activation=RELU) relu6_out, relu6_out -> last_out int8[1,4,4,2] 0.1@4\n"
        "  output last_out\n"
    )
    assert_equal(before, after)


def not_fusable() -> dict[str, Graph]:
    graphs = {}
    for name, quant in (("rescales", (0.04, -20)), ("another zero point", (0.05, -21))):
        b = GraphBuilder("g")
        x = b.input("x", int8((1, 4, 4, 2), 0.1, 7))
        graphs[name] = b.build([b.quantized(Relu(), [convolution(b, x)], *quant)])
    b = GraphBuilder("g")
    y = convolution(b, b.input("x", int8((1, 4, 4, 2), 0.1, 7)))
    graphs["is an output"] = b.build([y, b.quantized(Relu(), [y], 0.05, -20)])
    b = GraphBuilder("g")
    y = convolution(b, b.input("x", int8((1, 4, 4, 2), 0.1, 7)))
    relu = b.quantized(Relu(), [y], 0.05, -20)
    graphs["another reader"] = b.build([b.quantized(Add(), [y, relu], 0.1, 0)])
    b = GraphBuilder("g")
    y = convolution(b, b.input("x", int8((1, 4, 4, 2), 0.1, 7)), Activation.RELU_N1_TO_1)
    graphs["no activation is 0 to 1"] = b.build([b.quantized(Relu6(), [y], 0.05, -20)])
    return graphs


@pytest.mark.parametrize("name", not_fusable())
def test_activations_stay_where_fusing_would_be_wrong(name: str) -> None:
    graph = not_fusable()[name]
    assert to_text(fuse_activations.run(graph)) == to_text(graph)


def test_float_activations_are_fused() -> None:
    b = GraphBuilder("floats")
    x = b.input("x", TensorType((1, 2, 2, 2), DType.FLOAT32))
    w = b.constant("w", np.ones((2, 1, 1, 2), np.float32))
    before = b.build([b.float(Relu6(), [b.float(Conv2D(), [x, w], "conv")], "relu6")])
    assert "conv: conv2d(activation=RELU6) x, w float32[2,1,1,2] -> relu6_out" in to_text(fuse_activations.run(before))


def test_equals_are_shared() -> None:
    b = GraphBuilder("twins")
    x = b.input("x", int8((1, 4, 4, 2), 0.1, 7))
    first, second = (b.quantized(Relu(), [convolution(b, x)], 0.03, -9, "relu") for _ in range(2))
    third = convolution(b, x, Activation.RELU)
    total = b.quantized(Add(), [first, second], 0.1, 4, "add")
    before = b.build([total, b.quantized(Add(), [total, b.quantized(Relu(), [third], 0.1, 0, "own")], 0.1, 4, "sum")])
    after = share_equals.run(before)
    assert to_text(after) == (
        "graph twins\n"
        "  input x int8[1,4,4,2] 0.1@7\n"
        "  conv: conv2d() x, w int8[2,1,1,2] 0.02@0 -> conv_out int8[1,4,4,2] 0.05@-20\n"
        "  relu: relu() conv_out -> relu_out int8[1,4,4,2] 0.03@-9\n"
        "  conv_3: conv2d(activation=RELU) x, w int8[2,1,1,2] 0.02@0 -> conv_3_out int8[1,4,4,2] 0.05@-20\n"
        "  add: add() relu_out, relu_out -> add_out int8[1,4,4,2] 0.1@4\n"
        "  own: relu() conv_3_out -> own_out int8[1,4,4,2] 0.1@0\n"
        "  sum: add() add_out, own_out -> sum_out int8[1,4,4,2] 0.1@4\n"
        "  output add_out\n"
        "  output sum_out\n"
    )
    assert_equal(before, after)
