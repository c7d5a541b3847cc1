"""Transposes, reshapes and shuffles: how they compose, and that a flooded graph comes out dry."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cases import samples
from graphs import random_graph
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.graph.passes import fold_movement
from ratti.graph.passes._movement import Movement
from ratti.graph.text import to_text
from ratti.ops._move import Move
from ratti.ops.add import Add
from ratti.ops.base import int8
from ratti.ops.conv2d import Conv2D
from ratti.ops.depthwise_conv2d import DepthwiseConv2D
from ratti.ops.fully_connected import FullyConnected
from ratti.ops.mean import Mean
from ratti.ops.pad import Pad
from ratti.ops.relu import Relu
from ratti.ops.reshape import Reshape
from ratti.ops.softmax import Softmax
from ratti.ops.transpose import Transpose
from ratti.types import Quant, Shape

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
POINTWISE = Conv2D()


def random_shape(rng: np.random.Generator, elements: int) -> Shape:
    shape: list[int] = []
    while elements > 1:
        shape.append(int(rng.choice([d for d in range(1, elements + 1) if elements % d == 0])))
        elements //= shape[-1]
    return tuple(shape) or (1,)


@pytest.mark.parametrize("seed", range(300))
def test_chains_compose(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.choice([1, 2, 3, 4, 6], rng.integers(2, 6)))
    x = y = np.arange(math.prod(shape)).reshape(shape)
    movement = Movement.identity(shape)
    for _ in range(int(rng.integers(1, 6))):
        if rng.random() < 0.5:
            y = y.reshape(random_shape(rng, y.size))
            movement = movement.reshaped(y.shape)
        else:
            axes = tuple(int(a) for a in rng.permutation(y.ndim))
            then = movement.transposed(axes)
            if then is None:
                break
            movement, y = then, y.transpose(axes)
        assert movement.target == y.shape
        np.testing.assert_array_equal(movement.apply(x), y)
        np.testing.assert_array_equal(movement.inverse.apply(y), x)
        assert movement.is_reshape == bool((x.ravel() == y.ravel()).all())
        done = x
        for view, order, target in movement.steps():
            done = done.reshape(view).transpose(order).reshape(target)
        np.testing.assert_array_equal(done.reshape(movement.target), y)
        if movement.axes is not None:
            np.testing.assert_array_equal(x.transpose(movement.axes), y)
        if movement.channels is not None:
            np.testing.assert_array_equal(x[..., movement.channels], y)


def assert_equal(before: Graph, after: Graph) -> None:
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    for x in samples([before.type(n) for n in before.inputs], 2):
        for a, b in zip(interpreter.run(before, x).values(), interpreter.run(after, x).values(), strict=True):
            np.testing.assert_array_equal(a, b)


class Flood:
    """Writes NHWC ops on maps that are kept as (N, C, H, W)."""

    def __init__(self, name: str) -> None:
        self.b = GraphBuilder(name)
        self.rng = np.random.default_rng(3)

    def moved(self, x: str, axes: tuple[int, ...]) -> str:
        t = self.b.type(x)
        return self.b.quantized(Transpose(axes), [x], t.scale, t.zero_point, "t")

    def conv(self, x: str, outputs: int, name: str, op: Conv2D | DepthwiseConv2D = POINTWISE) -> str:
        x = self.moved(x, TO_NHWC)
        channels = self.b.shape(x)[3]
        depthwise = isinstance(op, DepthwiseConv2D)
        shape = (1, 1, 1, channels) if depthwise else (outputs, 1, 1, channels // op.groups)
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        quant = Quant.per_channel(self.rng.uniform(0.002, 0.01, outputs), op.output_axis)
        w = self.b.constant(f"{name}_w", data, quant)
        bias = self.b.constant(f"{name}_b", self.rng.integers(-99, 99, outputs).astype(np.int32), Quant.per_channel(
            np.full(outputs, 0.001), 0))
        return self.moved(self.b.quantized(op, [x, w, bias], 0.1, -3, name), TO_NCHW)

    def reshaped(self, x: str, shape: Shape, name: str = "r") -> str:
        t = self.b.type(x)
        return self.b.quantized(Reshape(shape), [x], t.scale, t.zero_point, name)

    def shuffled(self, x: str, groups: int) -> str:
        n, c, h, w = self.b.shape(x)
        x = self.moved(self.reshaped(x, (n, groups, c // groups, h, w)), (0, 2, 1, 3, 4))
        return self.reshaped(x, (n, c, h, w))

    def dense(self, x: str, outputs: int) -> str:
        data = self.rng.integers(-127, 128, (outputs, self.b.shape(x)[-1])).astype(np.int8)
        w = self.b.constant("fc_w", data, Quant.per_tensor(0.01, 0))
        return self.b.quantized(FullyConnected(), [x, w], 0.3, 0, "fc")


def classifier(mean: bool) -> Graph:
    """A residual net with shuffles, as converted from (N, C, H, W)."""
    f = Flood("converted")
    b = f.b
    x = f.moved(b.input("x", int8((1, 6, 5, 3), 0.05, 4)), TO_NCHW)
    x = f.conv(x, 8, "first")
    y = b.quantized(Relu(), [x], 0.08, -128, "relu")
    y = b.quantized(Pad(((0, 0), (0, 0), (1, 0), (0, 2))), [y], 0.08, -128, "pad")
    y = f.conv(y, 8, "second", Conv2D(stride=(1, 1)))
    z = b.quantized(Pad(((0, 0), (0, 0), (1, 0), (0, 2))), [x], 0.1, -3, "pad_too")
    x = b.quantized(Add(), [y, z], 0.2, 1, "add")
    x = f.conv(f.shuffled(x, 4), 8, "depthwise", DepthwiseConv2D())
    x = f.conv(x, 8, "third")
    x = f.conv(f.shuffled(x, 2), 6, "fourth")
    if mean:
        x = b.quantized(Mean((2, 3), True), [x], 0.1, 0, "mean")
    x = f.dense(f.reshaped(x, (1, math.prod(b.shape(x)))), 5)
    return b.build([b.quantized(Softmax(), [x], 1 / 256, -128)])


@pytest.mark.parametrize("mean", [False, True])
def test_a_converted_convolution_net_contains_no_movement(mean: bool) -> None:
    before = classifier(mean)
    after = fold_movement.run(before)
    assert sum(isinstance(n.op, (Transpose, Reshape)) for n in before.nodes) > 15
    names = ["first", "relu", "pad", "second", "pad_too", "add", "depthwise", "third", "fourth"]
    assert [n.name for n in after.nodes] == [*names, *["mean"] * mean, "fc", "softmax"]
    assert after.macs() == before.macs()
    assert_equal(before, after)


def test_before_and_after() -> None:
    f = Flood("small")
    x = f.b.input("x", int8((1, 4, 2, 2), 0.05, 4))
    y = f.b.quantized(Relu(), [f.conv(x, 4, "conv")], 0.2, 1, "relu")
    before = f.b.build([f.shuffled(y, 2)])
    assert to_text(before) == (
        "graph small\n"
        "  input x int8[1,4,2,2] 0.05@4\n"
        "  t: transpose(permutation=(0, 2, 3, 1)) x -> t_out int8[1,2,2,4] 0.05@4\n"
        "  conv: conv2d() t_out, conv_w int8[4,1,1,4] 4 scales, conv_b int32[4] 4 scales"
        " -> conv_out int8[1,2,2,4] 0.1@-3\n"
        "  t_2: transpose(permutation=(0, 3, 1, 2)) conv_out -> t_2_out int8[1,4,2,2] 0.1@-3\n"
        "  relu: relu() t_2_out -> relu_out int8[1,4,2,2] 0.2@1\n"
        "  r: reshape(shape=(1, 2, 2, 2, 2)) relu_out -> r_out int8[1,2,2,2,2] 0.2@1\n"
        "  t_3: transpose(permutation=(0, 2, 1, 3, 4)) r_out -> t_3_out int8[1,2,2,2,2] 0.2@1\n"
        "  r_2: reshape(shape=(1, 4, 2, 2)) t_3_out -> r_2_out int8[1,4,2,2] 0.2@1\n"
        "  output r_2_out\n"
    )
    after = fold_movement.run(before)
    assert to_text(after) == (
        "graph small\n"
        "  input x int8[1,4,2,2] 0.05@4\n"
        "  transpose: transpose(permutation=(0, 2, 3, 1)) x -> x_moved int8[1,2,2,4] 0.05@4\n"
        "  conv: conv2d() x_moved, conv_w int8[4,1,1,4] 4 scales, conv_b int32[4] 4 scales"
        " -> conv_out int8[1,2,2,4] 0.1@-3\n"
        "  relu: relu() conv_out -> relu_out_base int8[1,2,2,4] 0.2@1\n"
        "  reshape: reshape(shape=(1, 4, 2, 2)) relu_out_base -> relu_out_base_view int8[1,4,2,2] 0.2@1\n"
        "  transpose_2: transpose(permutation=(0, 3, 2, 1)) relu_out_base_view -> relu_out_base_view_moved"
        " int8[1,2,2,4] 0.2@1\n"
        "  reshape_2: reshape(shape=(1, 4, 2, 2)) relu_out_base_view_moved -> r_2_out int8[1,4,2,2] 0.2@1\n"
        "  output r_2_out\n"
    )
    assert_equal(before, after)


def test_a_shuffle_between_groups_stays() -> None:
    """A group's weights see only its own channels: a shuffle inside of groups is folded, one across them is not."""
    for groups, folded in ((2, False), (1, True)):
        f = Flood("groups")
        x = f.moved(f.b.input("x", int8((1, 3, 3, 8), 0.05, 4)), TO_NCHW)
        x = f.moved(f.conv(f.shuffled(x, 2), 4, "conv", Conv2D(groups=groups)), TO_NHWC)
        before = f.b.build([x])
        after = fold_movement.run(before)
        assert any(isinstance(n.op, Transpose) for n in after.nodes) is not folded
        assert_equal(before, after)


def flooded(graph: Graph) -> Graph:
    """`graph` with every map kept as (N, C, H, W) between ops."""
    f = Flood(graph.name)
    names = {n: f.b.constant(n, v.data, v.type.quant) for n, v in graph.values.items() if v.data is not None}
    for name in graph.inputs:
        names[name] = f.moved(f.b.input(name, graph.type(name)), TO_NCHW)
    for node in graph.nodes:
        inputs = [names[n] if graph.values[n].is_constant else f.moved(names[n], TO_NHWC) for n in node.inputs]
        (out,) = f.b.node(node.op, inputs, graph.output_types(node), node.name)
        names[node.outputs[0]] = f.moved(out, TO_NCHW)
    return f.b.build([f.moved(names[n], TO_NHWC) for n in graph.outputs])


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs_come_out_dry(seed: int) -> None:
    graph = random_graph(seed, 15)
    before = flooded(graph)
    after = fold_movement.run(before)
    if not any(isinstance(n.op, Move) for n in graph.nodes):  # movement of its own may stay
        assert not any(isinstance(n.op, Transpose) for n in after.nodes)
    assert_equal(before, after)
    assert to_text(fold_movement.run(after)) == to_text(after)
