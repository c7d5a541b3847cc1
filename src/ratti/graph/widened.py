"""The model with int16 activations that an int8 graph stands for: 16x8, in TFLite's words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ops._accumulate import LinearOp
from ..ops.base import wide_scale
from ..types import DType, Quant, TensorType
from .ir import Graph, Node, Value


def widened(graph: Graph) -> Graph:
    """`graph` with int16 activations of the same ranges, without zero points; weights stay, biases become int64.

    UnsupportedError (from the graph) where an op has no meaning for int16. Ops, shapes and names stay.
    """
    values = {name: _wide(v) for name, v in graph.values.items()}
    for node in graph.nodes:
        if isinstance(node.op, LinearOp):
            values.update({v.name: v for v in _weights(graph, node, values)})
    return replace(graph, values=values)


def _wide(value: Value) -> Value:
    type = value.type
    if type.dtype is not DType.INT8 or type.quant is None or type.quant.axis is not None:
        return value
    scale = wide_scale(type)
    codes = None
    if value.data is not None:
        real = type.scale * (value.data.astype(np.float64) - type.zero_point)
        codes = np.asarray(np.clip(np.rint(real / scale), *DType.INT16.limits)).astype(np.int16)
    return Value(value.name, TensorType(type.shape, DType.INT16, Quant.per_tensor(scale, 0)), codes)


def _weights(graph: Graph, node: Node, values: dict[str, Value]) -> list[Value]:
    """The weights as they were, and the bias in the scale of the new sums."""
    found = [graph.values[node.inputs[1]]]
    for name in node.inputs[2:]:
        bias, weight = graph.values[name], found[0].type.quant
        assert bias.data is not None and weight is not None
        old = graph.type(node.inputs[0]).scale
        new = values[node.inputs[0]].type.scale
        scales = tuple(float(np.float32(s * new)) for s in weight.scale)
        axis = None if weight.axis is None else 0
        quant = Quant(scales, (0,) * len(scales), axis)
        data = np.rint(bias.data.astype(np.float64) * (old / new)).astype(np.int64)
        found.append(Value(name, TensorType(bias.type.shape, DType.INT64, quant), data))
    return found
