"""How an op becomes loops: `write(op, graph, node)` holds one function an op, found by its class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch

from ...errors import UnsupportedError
from ...graph.ir import Graph, Node
from ...ops.base import Op
from ...types import Array
from .integers import Tensor

# Names of stages that scheduling looks for: sums, and their codes.
ACCUMULATOR, RESCALED = "accumulator", "codes"


@dataclass(frozen=True)
class Lowered:
    """`build(inputs, *constants)` makes the output tensor of one node from te tensors."""

    build: Callable[..., Tensor]
    constants: tuple[Array, ...] = ()


@singledispatch
def write(op: Op, graph: Graph, node: Node) -> Lowered:
    """The loops of `node`. UnsupportedError for an op without any."""
    raise UnsupportedError(f"{op.name} '{node.name}' has no TVM form here")


def supported(op: Op) -> bool:
    return write.dispatch(type(op)) is not write.dispatch(object)
