"""A factor and an offset for each channel behind a float convolution or fully connected layer move into its weights.

Batch normalization is such an op in an exported net: factor = gamma / sqrt(variance + epsilon), offset = beta - mean *
factor (Ioffe and Szegedy 2015, section 3). Equal to float rounding; int8 graphs stay as they are, since there a second
rounding would be lost.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...ops._accumulate import LinearOp
from ...ops.add import Add
from ...ops.base import Activation
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.mul import Mul
from ...ops.sub import Sub
from ...types import Array, DType, TensorType
from ..builder import unique
from ..ir import Graph, Node, Value
from ._rewrite import consumers, rewrite


class Affine(NamedTuple):
    """x -> activation(factor * x + offset), one of each for a channel, or for all."""

    source: str
    factor: Array
    offset: Array
    activation: Activation


def run(graph: Graph) -> Graph:
    """The graph with every per-channel factor and offset folded that follows a linear op of floats."""
    readers = consumers(graph)
    names = set(graph.values)
    values: list[Value] = []
    done: dict[str, Node] = {}  # nodes by what they write
    constants = {n: v.data for n, v in graph.values.items() if v.data is not None}
    for node in graph.nodes:
        affine = _affine(graph, node)
        before = done.get(affine.source) if affine else None
        if affine is None or before is None or not _takes(graph, before, readers[affine.source]):
            done[node.outputs[0]] = node
            continue
        del done[affine.source]
        op = before.op
        assert isinstance(op, LinearOp)
        weight, *bias = (constants[n] for n in before.inputs[1:])
        along = tuple(-1 if a == op.output_axis else 1 for a in range(weight.ndim))
        outputs = weight.shape[op.output_axis]
        factor, offset = (np.broadcast_to(v, outputs).astype(np.float64) for v in (affine.factor, affine.offset))
        new = (weight * factor.reshape(along), (bias[0] if bias else 0.0) * factor + offset)
        inputs = [before.inputs[0]]
        for data, name in zip(new, (before.inputs[1], f"{before.name}_bias"), strict=True):
            name = unique(name, names)
            names.add(name)
            constants[name] = data.astype(np.float32)
            values.append(Value(name, TensorType(data.shape, DType.FLOAT32), constants[name]))
            inputs.append(name)
        op = replace(op, activation=affine.activation)  # type: ignore[type-var]
        done[node.outputs[0]] = replace(before, op=op, inputs=tuple(inputs), outputs=node.outputs)
    return rewrite(graph, done.values(), values)


def _takes(graph: Graph, before: Node, readers: list[Node]) -> bool:
    op = before.op
    if not isinstance(op, LinearOp) or op.activation is not Activation.NONE:
        return False
    return len(readers) == 1 and before.outputs[0] not in graph.outputs


def _affine(graph: Graph, node: Node) -> Affine | None:
    """What a node does to each channel, if it is no more than a factor and an offset of floats."""
    if graph.output_types(node)[0].dtype is not DType.FLOAT32:
        return None
    op = node.op
    if isinstance(op, DepthwiseConv2D):
        weight, *bias = (graph.values[n].data for n in node.inputs[1:])
        assert weight is not None
        pixels = (op.stride, op.padding, op.multiplier) == ((1, 1), (0, 0, 0, 0), 1)
        if not pixels or weight.shape[1:3] != (1, 1):
            return None
        offset = bias[0] if bias and bias[0] is not None else np.zeros(1)
        return Affine(node.inputs[0], weight.reshape(-1), offset, op.activation)
    if isinstance(op, (Mul, Add, Sub)):
        return _with_constant(graph, node, op)
    return None


def _with_constant(graph: Graph, node: Node, op: Mul | Add | Sub) -> Affine | None:
    """A product, sum or difference with one constant for each channel, or for all."""
    data = [graph.values[n].data for n in node.inputs]
    which = 1 if data[0] is None else 0
    values = data[which]
    shape = graph.output_types(node)[0].shape
    channels = shape[-1] if shape else 1
    if values is None or (isinstance(op, Sub) and which == 0) or values.size not in (1, channels):
        return None
    if values.size > 1 and values.shape[-1] != channels:
        return None
    flat, one, zero = values.reshape(-1), np.ones(1), np.zeros(1)
    source = node.inputs[1 - which]
    if graph.type(source) != graph.output_types(node)[0]:
        return None
    if isinstance(op, Mul):
        return Affine(source, flat, zero, op.activation)
    return Affine(source, one, -flat if isinstance(op, Sub) else flat, op.activation)
