"""The definition of what a graph computes. Slow, plain, and shared with no compiled code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..types import Array
from .ir import Graph


def run(graph: Graph, inputs: Sequence[Array], keep: bool = False) -> dict[str, Array]:
    """Values of the graph's outputs by name, in the graph's order; with `keep`, of every activation.

    `inputs` hold codes of the declared types, in the order of `graph.inputs`. The batch (first) dimension may be
    larger than the graph's where all ops work row by row; `run_batch` does that safely.
    """
    check_inputs(graph, inputs)
    values: dict[str, Array] = dict(zip(graph.inputs, inputs, strict=True))
    last_use = {name: k for k, node in enumerate(graph.nodes) for name in node.inputs}
    for k, node in enumerate(graph.nodes):
        arrays = [_array(graph, values, name) for name in node.inputs]
        results = node.op.evaluate(arrays, graph.input_types(node), graph.output_types(node))
        values.update(zip(node.outputs, results, strict=True))
        if not keep:
            for name in node.inputs:
                if last_use[name] == k and name not in graph.outputs:
                    values.pop(name, None)
    return values if keep else {name: _array(graph, values, name) for name in graph.outputs}


def run_batch(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """Outputs for many samples: each input is (samples, *shape[1:]), each output likewise."""
    samples = len(inputs[0])
    rows = [run(graph, [x[k : k + 1] for x in inputs]) for k in range(samples)]
    return [np.concatenate([r[name] for r in rows]) for name in graph.outputs]


def check_inputs(graph: Graph, inputs: Sequence[Array]) -> None:
    """InputError where the arrays are not what the graph takes."""
    if len(inputs) != len(graph.inputs):
        raise InputError(f"model '{graph.name}' takes {len(graph.inputs)} inputs, got {len(inputs)}")
    for name, x in zip(graph.inputs, inputs, strict=True):
        want = graph.type(name)
        if x.shape != want.shape or x.dtype != want.dtype.numpy:
            raise InputError(
                f"input '{name}' of '{graph.name}' takes {want.dtype.value}{list(want.shape)}, "
                f"got {x.dtype}{list(x.shape)}"
            )


def _array(graph: Graph, values: dict[str, Array], name: str) -> Array:
    data = graph.values[name].data
    return values[name] if data is None else data
