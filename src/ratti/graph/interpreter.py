"""The definition of what a graph computes. Slow, plain, and shared with no compiled code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..types import Array
from .batch import with_batch
from .ir import Graph

CHUNK = 64  # samples at once
CHUNK_ELEMENTS = 1 << 18  # of the largest activation: bounds the memory that windows take


def run(graph: Graph, inputs: Sequence[Array], keep: bool = False) -> dict[str, Array]:
    """Values of the graph's outputs by name, in the graph's order; with `keep`, of every activation.

    `inputs` hold values of the declared types, in the order of `graph.inputs`.
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
    """Outputs for many samples, by chunks: inputs and outputs have the samples along their first dimension.

    Where the graph's first dimension is d (1 in most), that of the arrays is samples * d. The results are those of
    `run` for each sample.
    """
    samples = _count_samples(graph, inputs)
    size = max(1, min(samples, CHUNK, CHUNK_ELEMENTS // _largest(graph)))
    try:
        graphs = {n: with_batch(graph, n) for n in {size, samples % size} - {0}}
    except ValueError:  # an op that mixes samples
        size, graphs = 1, {1: graph}
    parts: list[list[Array]] = []
    for start in range(0, samples, size):
        count = min(size, samples - start)
        part = [x[start * d : (start + count) * d] for x, d in zip(inputs, _leading(graph, graph.inputs), strict=True)]
        results = run(graphs[count], part)
        parts.append([_repeated(graph, name, results[name], count) for name in graph.outputs])
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


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


def _count_samples(graph: Graph, inputs: Sequence[Array]) -> int:
    """How many samples `inputs` hold. InputError where they do not fit the graph, or each other, or are none."""
    if len(inputs) != len(graph.inputs):
        raise InputError(f"model '{graph.name}' takes {len(graph.inputs)} inputs, got {len(inputs)}")
    counts = set()
    for name, x, first in zip(graph.inputs, inputs, _leading(graph, graph.inputs), strict=True):
        want = graph.type(name)
        if x.dtype != want.dtype.numpy or x.shape[1:] != want.shape[1:] or len(x) % first:
            raise InputError(
                f"input '{name}' of '{graph.name}' takes {want.dtype.value}[samples, {str(list(want.shape[1:]))[1:]}, "
                f"got {x.dtype}{list(x.shape)}"
            )
        counts.add(len(x) // first)
    if len(counts) != 1 or counts == {0}:
        raise InputError(f"the inputs of '{graph.name}' hold {' and '.join(map(str, sorted(counts)))} samples")
    return counts.pop()


def _leading(graph: Graph, names: Sequence[str]) -> list[int]:
    return [graph.type(n).shape[0] for n in names]


def _largest(graph: Graph) -> int:
    return max(v.type.elements for v in graph.values.values() if not v.is_constant)


def _repeated(graph: Graph, name: str, result: Array, count: int) -> Array:
    """An output that is a constant is the same for every sample."""
    return np.concatenate([result] * count) if graph.values[name].is_constant else result


def _array(graph: Graph, values: dict[str, Array], name: str) -> Array:
    data = graph.values[name].data
    return values[name] if data is None else data
