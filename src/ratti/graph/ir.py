"""The graph: values (activations and constants) and nodes in execution order. Immutable; passes make new ones.

Activations are NHWC. A graph is checked when it is made: names resolve, order is a valid execution order,
shapes follow the ops' rules and every constraint holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from ..errors import UnsupportedError
from ..ops.base import Op, Operand
from ..types import Array, DType, TensorType


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the graph; a constant where it has data."""

    name: str
    type: TensorType
    data: Array | None = None

    def __post_init__(self) -> None:
        if self.data is not None:
            if self.data.shape != self.type.shape or self.data.dtype != self.type.dtype.numpy:
                raise ValueError(
                    f"constant '{self.name}' is {self.data.dtype}{list(self.data.shape)}, "
                    f"its type says {self.type.dtype.value}{list(self.type.shape)}"
                )
            self.data.flags.writeable = False

    @property
    def is_constant(self) -> bool:
        return self.data is not None


@dataclass(frozen=True)
class Node:
    """One operation: its op (attributes) and the names of what it reads and writes."""

    name: str
    op: Op
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network. `metadata` travels with it (provenance, class names, front end)."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: Mapping[str, Value]
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        self._verify()

    def __deepcopy__(self, memo: object) -> Graph:
        return self  # nothing in it changes

    def type(self, name: str) -> TensorType:
        return self.values[name].type

    def operands(self, node: Node) -> tuple[Operand, ...]:
        return tuple(Operand(self.values[i].type, self.values[i].data) for i in node.inputs)

    def input_types(self, node: Node) -> tuple[TensorType, ...]:
        return tuple(self.values[i].type for i in node.inputs)

    def output_types(self, node: Node) -> tuple[TensorType, ...]:
        return tuple(self.values[o].type for o in node.outputs)

    def activations(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that are no constants."""
        return tuple(n for n in names if not self.values[n].is_constant)

    def macs(self, node: Node | None = None) -> int:
        """Multiply-accumulates of one node or of the whole graph."""
        nodes = self.nodes if node is None else (node,)
        return sum(n.op.macs(self.input_types(n), self.output_types(n)) for n in nodes)

    def constant_elements(self) -> int:
        """Values of all weights and biases."""
        used = {i for n in self.nodes for i in n.inputs if self.values[i].is_constant}
        return sum(self.values[i].type.elements for i in used)

    @property
    def is_quantized(self) -> bool:
        """True where every activation is an integer."""
        names = [*self.inputs, *(o for n in self.nodes for o in n.outputs)]
        return all(self.values[n].type.dtype is not DType.FLOAT32 for n in names)

    @property
    def is_float(self) -> bool:
        """True where every activation is float."""
        names = [*self.inputs, *(o for n in self.nodes for o in n.outputs)]
        return all(self.values[n].type.dtype is DType.FLOAT32 for n in names)

    def _verify(self) -> None:
        ready = {n for n, v in self.values.items() if v.is_constant}
        for name in (*self.inputs, *self.outputs, *(n for node in self.nodes for n in (*node.inputs, *node.outputs))):
            if name not in self.values:
                raise ValueError(f"graph '{self.name}' names an unknown value '{name}'")
        for name in self.inputs:
            if name in ready:
                raise ValueError(f"input '{name}' of graph '{self.name}' is listed twice, or is a constant")
            ready.add(name)
        named: set[str] = set()
        for node in self.nodes:
            if node.name in named:
                raise ValueError(f"graph '{self.name}' has two nodes called '{node.name}'")
            named.add(node.name)
            self._verify_node(node, ready)
        missing = [o for o in self.outputs if o not in ready]
        if missing:
            raise ValueError(f"output '{missing[0]}' of graph '{self.name}' is computed by no node")

    def _verify_node(self, node: Node, ready: set[str]) -> None:
        where = f"{node.op.name} '{node.name}'"
        most = len(node.op.operand_names)
        if not most - node.op.optional_operands <= len(node.inputs) <= most:
            raise ValueError(f"{where} has {len(node.inputs)} inputs; it takes {', '.join(node.op.operand_names)}")
        for name in node.inputs:
            if name not in ready:
                raise ValueError(f"{where} reads '{name}' before it is computed")
        for name in node.outputs:
            if name in ready:
                raise ValueError(f"{where} writes '{name}', which already has a value")
            ready.add(name)
        try:
            shapes = node.op.infer_shapes(*(t.shape for t in self.input_types(node)))
        except ValueError as error:
            raise UnsupportedError(f"{where}: {error}") from None
        declared = tuple(t.shape for t in self.output_types(node))
        if shapes != declared:
            raise UnsupportedError(f"{where}: the output should be {shapes}, the model says {declared}")
        broken = node.op.check(self.operands(node), self.output_types(node))
        if broken:
            raise UnsupportedError(f"{where}: {broken}")
