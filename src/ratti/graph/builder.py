"""Making graphs step by step; names are made unique, shapes inferred."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..ops.base import Case, Op
from ..types import Array, DType, Quant, Shape, TensorType
from .ir import Graph, Node, Value


class GraphBuilder:
    """Collects values and nodes in execution order; `build` checks and freezes them."""

    def __init__(self, name: str) -> None:
        self.name = identifier(name)
        self._values: dict[str, Value] = {}
        self._nodes: list[Node] = []
        self._inputs: list[str] = []
        self._node_names: set[str] = set()
        self._repeated: dict[str, int] = {}  # how often a name of a value was asked for

    def input(self, name: str, type: TensorType) -> str:
        name = self._add(name, type)
        self._inputs.append(name)
        return name

    def constant(self, name: str, data: Array, quant: Quant | None = None, dtype: DType | None = None) -> str:
        """A constant; `dtype` where it is not that of the array (4-bit codes come in int8)."""
        data = data.copy()
        return self._add(name, TensorType(data.shape, dtype or DType(data.dtype.name), quant), data)

    def node(
        self, op: Op, inputs: Sequence[str], outputs: Sequence[TensorType], name: str = "", output_name: str = ""
    ) -> tuple[str, ...]:
        """Adds a node; gives the names of its outputs."""
        name = unique(identifier(name or op.name), self._node_names)
        self._node_names.add(name)
        out = tuple(self._add(output_name or f"{name}_out", t) for t in outputs)
        self._nodes.append(Node(name, op, tuple(inputs), out))
        return out

    def quantized(self, op: Op, inputs: Sequence[str], scale: float, zero_point: int, name: str = "") -> str:
        """Adds a node with one int8 output whose shape follows from the op."""
        (shape,) = op.infer_shapes(*(self._values[i].type.shape for i in inputs))
        return self.node(op, inputs, [TensorType(shape, DType.INT8, Quant.per_tensor(scale, zero_point))], name)[0]

    def float(self, op: Op, inputs: Sequence[str], name: str = "") -> str:
        """Adds a node with one float output whose shape follows from the op."""
        (shape,) = op.infer_shapes(*(self._values[i].type.shape for i in inputs))
        return self.node(op, inputs, [TensorType(shape, DType.FLOAT32)], name)[0]

    def type(self, name: str) -> TensorType:
        return self._values[name].type

    def shape(self, name: str) -> Shape:
        return self._values[name].type.shape

    def data(self, name: str) -> Array | None:
        """The data of a constant; None for an activation."""
        return self._values[name].data

    def build(self, outputs: Sequence[str], metadata: Mapping[str, str] | None = None) -> Graph:
        return Graph(
            self.name, tuple(self._inputs), tuple(outputs), tuple(self._nodes), self._values, dict(metadata or {})
        )

    def _add(self, name: str, type: TensorType, data: Array | None = None) -> str:
        name = identifier(name)
        self._repeated[name] = first = self._repeated.get(name, 0) + 1
        name = unique(name, self._values, first)
        self._values[name] = Value(name, type, data)
        return name


def from_case(case: Case) -> Graph:
    """A graph of the one node that a test case describes."""
    builder = GraphBuilder(f"{case.op.name}_{case.label}")
    names = []
    for operand, role in zip(case.operands, case.op.operand_names, strict=False):
        if operand.data is None:
            names.append(builder.input(role, operand.type))
        else:
            names.append(builder.constant(role, operand.data, operand.type.quant, operand.type.dtype))
    return builder.build(builder.node(case.op, names, case.outputs))


def identifier(name: str) -> str:
    """A valid C identifier close to `name`."""
    name = re.sub(r"[^0-9A-Za-z_]+", "_", name).strip("_")
    return name if name and not name[0].isdigit() else f"n_{name}" if name else "unnamed"


def unique(name: str, taken: Mapping[str, object] | set[str], first: int = 2) -> str:
    """`name`, or `name_2`, `name_3`, … where it is taken; numbers below `first` are known to be."""
    if name not in taken:
        return name
    k = max(first, 2)
    while f"{name}_{k}" in taken:
        k += 1
    return f"{name}_{k}"
