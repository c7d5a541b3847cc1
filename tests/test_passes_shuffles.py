"""Shuffles that readers cannot take: written in that order where the writer can."""

from __future__ import annotations

import numpy as np
import pytest

from cases import samples
from ratti import nets, targets
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.ir import Graph
from ratti.graph.passes import hoist_shuffles, run_pipeline
from ratti.graph.text import to_text
from ratti.kernels import FEATURES
from ratti.ops._move import Move
from ratti.ops.average_pool2d import AveragePool2D
from ratti.ops.base import int8
from ratti.ops.conv2d import Conv2D
from ratti.ops.depthwise_conv2d import DepthwiseConv2D
from ratti.ops.relu import Relu
from ratti.ops.transpose import Transpose
from ratti.plan import make_plan
from ratti.verbs.verify import verify
from test_passes_movement import TO_NCHW, TO_NHWC, Flood, assert_equal


def before_groups(first: Conv2D, keep: bool = False) -> Graph:
    """Convolution, relu, depthwise, pool, shuffle, a convolution in groups: the shuffle crosses them."""
    f = Flood("groups")
    b = f.b
    x = f.moved(b.input("x", int8((1, 4, 4, 8), 0.05, 4)), TO_NCHW)
    x = b.quantized(Relu(), [f.conv(x, 8, "first", first)], 0.2, -3, "relu")
    x = kept = f.conv(x, 8, "depthwise", DepthwiseConv2D())
    x = f.moved(b.quantized(AveragePool2D(), [f.moved(x, TO_NHWC)], 0.1, -3, "pool"), TO_NCHW)
    x = f.conv(f.shuffled(x, 2), 4, "grouped", Conv2D(groups=2))
    outputs = [x, kept] if keep else [x]
    return b.build([f.moved(v, TO_NHWC) for v in outputs])


def test_a_shuffle_before_groups_becomes_an_order_of_outputs() -> None:
    before = before_groups(Conv2D())
    after = run_pipeline(before)
    assert [n.name for n in after.nodes] == ["first", "relu", "depthwise", "pool", "grouped"]
    assert_equal(before, after)


def test_a_shuffle_between_groups_interleaves_them() -> None:
    before = before_groups(Conv2D(groups=2))
    after = run_pipeline(before)
    assert [n.name for n in after.nodes] == ["first", "relu", "depthwise", "pool", "grouped"]
    assert after.nodes[0].op == Conv2D(groups=2, interleaved=True)
    assert "first: conv2d(groups=2, interleaved=True) x" in to_text(after)
    assert_equal(before, after)


def test_files_of_interleaved_groups_hold_the_shuffle() -> None:
    after = run_pipeline(before_groups(Conv2D(groups=2)))
    again = tflite.parse(tflite.serialize(after), "again")
    assert [n.op.name for n in again.nodes][:4] == ["conv2d", "reshape", "transpose", "reshape"]
    assert not any(isinstance(n.op, Conv2D) and n.op.interleaved for n in again.nodes)
    for x in samples([after.type(n) for n in after.inputs], 2):
        for a, b in zip(interpreter.run(after, x).values(), interpreter.run(again, x).values(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert not any(isinstance(n.op, Transpose) for n in run_pipeline(again).nodes)


@pytest.mark.toolchain
@pytest.mark.parametrize("target", ["stm32f446re", "esp32c3"])
def test_shuffles_between_groups_cost_nothing_on_cores(target: str) -> None:
    """A stock net: no element moves but in its concatenations, and cores equal the interpreter of the net."""
    net = nets.random_graph(nets.spec("shufflenet_v1-0.25-32"))
    plan = make_plan(run_pipeline(net), FEATURES[targets.load(target).isa])
    assert {s.node.op.name for s in plan.steps if isinstance(s.node.op, Move)} == {"concat"}
    assert sum(isinstance(n.op, Transpose) for n in net.nodes) == 16
    assert [(row.differ, row.skipped) for row in verify(net, [target], ["tflm"], count=8).rows] == [(0, "")] * 3


@pytest.mark.parametrize("graph", [before_groups(Conv2D(groups=4)), before_groups(Conv2D(), keep=True)])
def test_it_stays_where_the_order_is_seen(graph: Graph) -> None:
    after = run_pipeline(graph)
    assert sum(isinstance(n.op, Transpose) for n in after.nodes) == 1
    assert_equal(graph, after)
    assert to_text(hoist_shuffles.run(after)) == to_text(after)


def test_a_shuffle_at_the_end_keeps_the_output() -> None:
    f = Flood("end")
    x = f.moved(f.b.input("x", int8((1, 4, 4, 8), 0.05, 4)), TO_NCHW)
    before = f.b.build([f.moved(f.shuffled(f.conv(x, 6, "conv"), 3), TO_NHWC)])
    after = run_pipeline(before)
    assert [n.name for n in after.nodes] == ["conv"] and after.outputs == before.outputs
    assert_equal(before, after)
    a, b = (g.values[n].data for g, n in ((before, "conv_w"), (after, after.nodes[0].inputs[1])))
    assert a is not None and b is not None
    np.testing.assert_array_equal(b, a[[0, 2, 4, 1, 3, 5]])
