"""Many samples at once: the same graph with its first dimension repeated."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..types import TensorType
from .ir import Graph, Value


def with_batch(graph: Graph, samples: int) -> Graph:
    """`graph` with the first dimension of every activation `samples` times as long, one sample after the other.

    Constants that an op takes as data are repeated. ValueError where an op would mix samples.
    """
    values = {name: v if v.is_constant else _longer(v, samples) for name, v in graph.values.items()}
    nodes = []
    for node in graph.nodes:
        inputs = list(node.inputs)
        data = inputs[: node.op.activations]
        op = node.op.batched(samples, graph.type((graph.activations(data) or data)[0]).shape)
        rank = max(len(graph.type(n).shape) for n in data)
        if op.broadcasts and any(len(graph.type(n).shape) < rank for n in graph.activations(data)):
            raise ValueError(f"{op.name} repeats an operand of fewer dimensions")
        for k, name in enumerate(data):
            shape = graph.type(name).shape
            repeated = op.broadcasts and (len(shape) < rank or shape[:1] in ((), (1,)))
            if graph.values[name].is_constant and not repeated:
                inputs[k] = f"{name}/{samples}"
                values[inputs[k]] = replace(_longer(graph.values[name], samples), name=inputs[k])
        nodes.append(replace(node, op=op, inputs=tuple(inputs)))
    return Graph(graph.name, graph.inputs, graph.outputs, tuple(nodes), values, graph.metadata)


def _longer(value: Value, samples: int) -> Value:
    shape = value.type.shape
    if not shape:
        raise ValueError(f"'{value.name}' has no dimension that could hold samples")
    type = TensorType((shape[0] * samples, *shape[1:]), value.type.dtype, value.type.quant)
    return Value(value.name, type, None if value.data is None else np.concatenate([value.data] * samples))
