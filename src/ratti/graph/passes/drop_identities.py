"""Ops without effect disappear: what they write is, to the last bit, what they read.

An identity can only be told where the op is known: one rule each, in `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...ops._move import Move
from ...ops._pool import Pool2D
from ...ops._unary import Unary
from ...ops.base import Activation, Op
from ...ops.pad import Pad
from ...ops.reshape import Reshape
from ...types import DType, TensorType
from ..ir import Graph
from ._rewrite import forward

Rule = Callable[[Any, TensorType], bool]  # (op, the type of its input and output) -> it changes nothing


def run(graph: Graph) -> Graph:
    """The graph without ops that have no effect."""
    equal = {}
    for node in graph.nodes:
        types = {*graph.input_types(node), *graph.output_types(node)}
        if len(node.inputs) == len(node.outputs) == 1 and len(types) == 1 and _rule(node.op)(node.op, *types):
            equal[node.outputs[0]] = node.inputs[0]
    return forward(graph, equal)


def _unary(op: Unary, type: TensorType) -> bool:
    if type.dtype is DType.INT8:
        return bool((op.table(type, type) == np.arange(-128, 128)).all())
    return False


def _pool(op: Pool2D, type: TensorType) -> bool:
    if type.dtype is DType.INT8:
        unclamped = op.activation.code_range(type) == type.dtype.limits
    else:
        unclamped = op.activation is Activation.NONE
    return unclamped and op.kernel == op.stride == (1, 1)


def _same(op: Op, type: TensorType) -> bool:
    return True  # of one type: nothing was added, nothing reshaped


def _move(op: Move, type: TensorType) -> bool:
    places = np.arange(type.elements).reshape(type.shape)
    return all(np.array_equal(moved, places) for moved in op.move([places], -1))


RULES: Mapping[type[Any], Rule] = {Pad: _same, Reshape: _same, Unary: _unary, Pool2D: _pool, Move: _move}


def _rule(op: Op) -> Rule:
    return next((rule for kind, rule in RULES.items() if isinstance(op, kind)), lambda op, type: False)
