"""Constant and dead channels: dropped where that is exact, kept where a border would show it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cases import samples
from graphs import random_graph
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.graph.passes import fold_channels, optimize
from ratti.graph.passes._intervals import intervals
from ratti.graph.passes._rewrite import rewrite
from ratti.graph.text import to_text
from ratti.ops.add import Add
from ratti.ops.base import Activation, int8
from ratti.ops.conv2d import Conv2D
from ratti.ops.depthwise_conv2d import DepthwiseConv2D
from ratti.ops.fully_connected import FullyConnected
from ratti.ops.max_pool2d import MaxPool2D
from ratti.types import Quant


def chain(padding: int = 1, offset: int = 0, zero_point: int = -128, add: bool = False) -> Graph:
    """Pointwise, depthwise, pointwise, fully connected; channels 1 and 2 of the first are dead.

    Channel 1 has weights of zero and the bias `offset`; channel 2 is never off the ReLU floor.
    """
    rng = np.random.default_rng(1)
    b = GraphBuilder("chain")
    x = b.input("x", int8((1, 5, 5, 3), 0.05, 4))
    w = rng.integers(-127, 128, (4, 1, 1, 3)).astype(np.int8)
    w[1] = 0
    bias = np.array([10, offset, -99999, 30], np.int32)
    w1 = b.constant("w1", w, Quant.per_channel(np.full(4, 0.01), 0))
    b1 = b.constant("b1", bias, Quant.per_channel(np.full(4, 0.0005), 0))
    y = b.quantized(Conv2D(activation=Activation.RELU), [x, w1, b1], 0.05, zero_point, "first")
    w2 = b.constant("w2", rng.integers(-127, 128, (1, 3, 3, 4)).astype(np.int8), Quant.per_channel(np.full(4, 0.01), 3))
    y = b.quantized(DepthwiseConv2D(padding=(padding,) * 4), [y, w2], 0.06, 3, "depthwise")
    y = b.quantized(MaxPool2D((2, 2), (1, 1)), [y], 0.06, 3, "pool")
    if add:
        y = b.quantized(Add(), [y, y], 0.12, 3, "add")
    w3 = b.constant("w3", rng.integers(-127, 128, (3, 1, 1, 4)).astype(np.int8), Quant.per_tensor(0.01, 0))
    y = b.quantized(Conv2D(), [y, w3], 0.1, -5, "second")
    elements = int(np.prod(b.shape(y)))
    w4 = b.constant("w4", rng.integers(-127, 128, (2, elements)).astype(np.int8), Quant.per_tensor(0.01, 0))
    return b.build([b.quantized(FullyConnected(), [y, w4], 0.3, 0, "fc")])


def assert_equal(before: Graph, after: Graph, count: int = 4) -> None:
    for x in samples([before.type(n) for n in before.inputs], count):
        for a, b in zip(interpreter.run(before, x).values(), interpreter.run(after, x).values(), strict=True):
            np.testing.assert_array_equal(a, b)


def test_dead_channels_go_through_the_ops_that_keep_them() -> None:
    before = chain()
    after = fold_channels.run(before)
    assert to_text(after) == (
        "graph chain\n"
        "  input x int8[1,5,5,3] 0.05@4\n"
        "  first: conv2d(activation=RELU) x, w1_2 int8[2,1,1,3] 2 scales, b1_2 int32[2] 2 scales"
        " -> first_out int8[1,5,5,2] 0.05@-128\n"
        "  depthwise: depthwise_conv2d(padding=(1, 1, 1, 1)) first_out, w2_2 int8[1,3,3,2] 2 scales"
        " -> depthwise_out int8[1,5,5,2] 0.06@3\n"
        "  pool: max_pool2d(stride=(1, 1)) depthwise_out -> pool_out int8[1,4,4,2] 0.06@3\n"
        "  second: conv2d() pool_out, w3_2 int8[3,1,1,2] 0.01@0 -> second_out int8[1,4,4,3] 0.1@-5\n"
        "  fc: fully_connected() second_out, w4 int8[2,48] 0.01@0 -> fc_out int8[1,2] 0.3@0\n"
        "  output fc_out\n"
    )
    assert before.macs() - after.macs() == 2 * (25 * 3 + 25 * 9 + 16 * 3)
    assert_equal(before, after)


@pytest.mark.parametrize("padding, left", [(0, 2), (1, 3)])
def test_a_constant_that_is_not_the_padding_stays_at_borders(padding: int, left: int) -> None:
    """Channel 1 holds a code above the zero point: without a border its share is a bias, with one it is not."""
    before = chain(padding, offset=2000)
    assert intervals(before)["first_out"].constant.tolist() == [False, True, True, False]
    after = fold_channels.run(before)
    assert after.type("first_out").shape[-1] == left
    assert_equal(before, after)


def test_a_constant_becomes_a_bias() -> None:
    """Where the reader has none, it gets one."""
    before = chain(padding=0, offset=2000)
    after = fold_channels.run(before)
    assert "second: conv2d() pool_out, w3_2 int8[3,1,1,2] 0.01@0, second_bias int32[3] 3 scales" in to_text(after)
    assert_equal(before, after)


def test_a_channel_that_is_never_read_is_dropped() -> None:
    before = chain(add=True)
    data = before.values["w3"].data
    assert data is not None
    unread = data.copy()
    unread[..., 3] = 0
    before = rewrite(before, before.nodes, [replace(before.values["w3"], data=unread)])
    after = fold_channels.run(before)
    assert [after.type(f"{n}_out").shape[-1] for n in ("first", "depthwise", "pool", "add")] == [1] * 4
    assert_equal(before, after)


def test_outputs_and_one_channel_remain() -> None:
    b = GraphBuilder("nothing")
    x = b.input("x", int8((1, 2, 2, 3), 0.05, 4))
    w = b.constant("w", np.zeros((5, 1, 1, 3), np.int8), Quant.per_tensor(0.01, 0))
    v = b.constant("v", np.ones((2, 1, 1, 5), np.int8), Quant.per_tensor(0.01, 0))
    y = b.quantized(Conv2D(), [x, w], 0.1, 7, "dead")
    before = b.build([b.quantized(Conv2D(), [y, v], 0.1, 1, "reader")])
    after = fold_channels.run(before)
    assert (after.type("dead_out").shape, after.type("reader_out").shape) == ((1, 2, 2, 1), (1, 2, 2, 2))
    assert_equal(before, after)


def deadened(graph: Graph, seed: int) -> Graph:
    """`graph` with the weights of about half of all output channels zero, and some that nothing reads."""
    rng = np.random.default_rng(seed)
    values = []
    for value in graph.values.values():
        if value.data is not None and value.data.ndim == 4:
            data = value.data.copy()
            axis = 3 if len(data) == 1 and value.type.quant and value.type.quant.axis == 3 else 0
            np.moveaxis(data, axis, 0)[rng.random(data.shape[axis]) < 0.5] = 0
            if axis == 0:
                data[..., rng.random(data.shape[3]) < 0.2] = 0
            values.append(replace(value, data=data))
    return rewrite(graph, graph.nodes, values)


@pytest.mark.parametrize("seed", range(60))
def test_random_graphs_keep_every_output(seed: int) -> None:
    before = deadened(random_graph(seed, 20), seed)
    after = fold_channels.run(before)
    assert after.outputs == before.outputs
    assert_equal(before, after, 2)
    assert to_text(fold_channels.run(after)) == to_text(after)


@pytest.mark.parametrize("seed", range(20))
def test_intervals_hold_every_code(seed: int) -> None:
    graph = deadened(random_graph(seed, 20), seed)
    known = intervals(graph)
    for x in samples([graph.type(n) for n in graph.inputs], 3):
        for name, codes in interpreter.run(graph, x, keep=True).items():
            others = tuple(range(codes.ndim - 1))
            assert (codes.min(axis=others) >= known[name].low).all(), name
            assert (codes.max(axis=others) <= known[name].high).all(), name


def test_savings_are_counted() -> None:
    before = chain()
    after, savings = optimize(before)
    by_name = {s.name: s for s in savings}
    assert by_name["fold_channels"].macs == before.macs() - after.macs() == 696
    assert by_name["fold_channels"].constant_bytes == 2 * (3 + 4) + 2 * 9 + 6
    assert_equal(before, after)
