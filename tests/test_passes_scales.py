"""Factors and offsets of float channels become weights and biases."""

from __future__ import annotations

import numpy as np
import pytest

from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.graph.passes import fold_scales, optimize
from ratti.graph.text import to_text
from ratti.ops.base import Activation
from ratti.ops.conv2d import Conv2D
from ratti.ops.depthwise_conv2d import DepthwiseConv2D
from ratti.ops.relu6 import Relu6
from ratti.types import DType, TensorType


def normalized(keep: bool = False, activation: Activation = Activation.NONE, bias: bool = True) -> Graph:
    """Convolution, depthwise convolution, each with batch normalization, and an activation at the end."""
    rng = np.random.default_rng(5)
    b = GraphBuilder("normalized")

    def constant(name: str, *shape: int) -> str:
        return b.constant(name, rng.normal(1, 1, shape).astype(np.float32))

    x = b.input("x", TensorType((1, 5, 4, 3), DType.FLOAT32))
    y = b.float(Conv2D(activation=activation), [x, constant("w", 6, 3, 2, 3), *[constant("b", 6)] * bias], "conv")
    kept = y
    y = b.float(DepthwiseConv2D(), [y, constant("gamma", 1, 1, 1, 6), constant("beta", 6)], "norm")
    y = b.float(DepthwiseConv2D(padding=(1, 1, 1, 1)), [y, constant("w2", 1, 3, 3, 6)], "depthwise")
    y = b.float(DepthwiseConv2D(), [y, constant("gamma2", 1, 1, 1, 6), constant("beta2", 6)], "norm2")
    y = b.float(Relu6(), [y], "relu6")
    return b.build([y, kept] if keep else [y])


def assert_close(before: Graph, after: Graph) -> None:
    rng = np.random.default_rng(6)
    x = [rng.normal(0, 1, before.type(n).shape).astype(np.float32) for n in before.inputs]
    for a, b in zip(interpreter.run(before, x).values(), interpreter.run(after, x).values(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("bias", [False, True])
def test_normalization_is_folded(bias: bool) -> None:
    before = normalized(bias=bias)
    after = fold_scales.run(before)
    assert to_text(after) == (
        "graph normalized\n"
        "  input x float32[1,5,4,3]\n"
        "  conv: conv2d() x, w_2 float32[6,3,2,3], conv_bias float32[6] -> norm_out float32[1,3,3,6]\n"
        "  depthwise: depthwise_conv2d(padding=(1, 1, 1, 1)) norm_out, w2_2 float32[1,3,3,6],"
        " depthwise_bias float32[6] -> norm2_out float32[1,3,3,6]\n"
        "  relu6: relu6() norm2_out -> relu6_out float32[1,3,3,6]\n"
        "  output relu6_out\n"
    )
    assert_close(before, after)
    assert to_text(fold_scales.run(after)) == to_text(after)


def test_nothing_is_left_of_it() -> None:
    before = normalized()
    after, savings = optimize(before)
    assert [n.op.name for n in after.nodes] == ["conv2d", "depthwise_conv2d"]
    assert {s.name: (s.ops, s.macs) for s in savings if s.ops} == {"fold_scales": (2, 108), "fuse_activations": (1, 0)}
    assert_close(before, after)


@pytest.mark.parametrize("graph", [normalized(keep=True), normalized(activation=Activation.RELU)])
def test_what_others_see_stays(graph: Graph) -> None:
    after = fold_scales.run(graph)
    assert [n.name for n in after.nodes] == ["conv", "norm", "depthwise", "relu6"]
    assert_close(graph, after)
