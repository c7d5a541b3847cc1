"""RELU and its kin move into the op before them, which clamps what it writes anyway.

Lossless: an op of one tensor moves only where it is nothing but a clamp of codes (or of floats) to a range that a fused
activation has. An int8 activation that rescales as well stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...ops._unary import Unary
from ...ops.base import Activation
from ...types import DType, TensorType
from ..ir import Graph, Node
from ._rewrite import consumers, rewrite

PROBES = np.concatenate([[-np.inf, np.inf], np.arange(-160, 161) / 16])
"""Floats that tell a clamp from everything else: the ends, and steps of 1/16 around the bounds."""


def run(graph: Graph) -> Graph:
    """The graph with every activation fused that can be."""
    readers = consumers(graph)
    done: dict[str, Node] = {}  # nodes by what they write, with what they took in
    for node in graph.nodes:
        before = done.get(node.inputs[0])
        fused = None
        if before is not None and readers[node.inputs[0]] == [node] and node.inputs[0] not in graph.outputs:
            fused = _fused(before, node, graph)
        if fused is not None:
            del done[node.inputs[0]]
        done[node.outputs[0]] = fused or node
    return rewrite(graph, done.values())


def _fused(before: Node, node: Node, graph: Graph) -> Node | None:
    """`before` with the activation `node`; None where that is another function."""
    own = getattr(before.op, "activation", None)
    type = graph.type(node.outputs[0])
    if own is None or not isinstance(node.op, Unary) or graph.type(before.outputs[0]) != type:
        return None
    clamp = _clamp(node.op, type)
    if clamp is None:
        return None
    low, high = _range(own, type)
    wanted = (min(max(low, clamp[0]), clamp[1]), max(min(high, clamp[1]), clamp[0]))  # one range inside the other
    match = [a for a in Activation if _range(a, type) == wanted]
    if not match:
        return None
    op = replace(before.op, activation=match[0])  # type: ignore[type-var]
    return replace(before, op=op, outputs=node.outputs)


def _clamp(op: Unary, type: TensorType) -> tuple[float, float] | None:
    """The range to which `op` clamps, where it does nothing else."""
    if type.dtype is DType.INT8:
        codes = np.arange(-128, 128)
        table = op.table(type, type)
    elif type.dtype is DType.FLOAT32:
        codes = PROBES
        table = op.real(PROBES)
    else:
        return None
    low, high = float(table.min()), float(table.max())
    return (low, high) if (table == np.clip(codes, low, high)).all() else None


def _range(activation: Activation, type: TensorType) -> tuple[float, float]:
    low, high = activation.code_range(type) if type.dtype is DType.INT8 else activation.real_range
    return float(low), float(high)
