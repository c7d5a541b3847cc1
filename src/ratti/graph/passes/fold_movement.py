"""Transposes, reshapes and channel shuffles move down the graph until they cancel or become part of weights.

A model converted from (N, C, H, W) is flooded with transposes. Here a movement is put off: the value that it would
write is known as "that other value, reordered", and each reader either takes the other value as it is, with its
attributes or weights reordered and its own result put off in turn, or has the movement done in front of it.

- An op of one tensor, or elementwise on several, works on the reordered elements as well.
- Padding, means and concatenation work along other axes.
- A convolution takes a channel shuffle into its weights' input channels; a depthwise one shuffles its filters; a fully
  connected layer takes any movement within its rows, flattening above all.

Lossless: no arithmetic changes but the order in which sums of integers are formed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ...ops.reshape import Reshape
from ...ops.transpose import Transpose
from ...types import Array, Quant, Shape, TensorType
from ..builder import unique
from ..ir import Graph, Node, Value
from ._movement import Movement
from ._rewrite import forward, rewrite
from ._sinking import RULES, Put


def run(graph: Graph) -> Graph:
    """The graph with as little movement as was found; the same graph where that is no less."""
    after = Sinker(graph).run()
    return after if cost(after) < cost(graph) else graph


def cost(graph: Graph) -> tuple[int, int]:
    """Elements that transposes move, and nodes."""
    moved = [n for n in graph.nodes if isinstance(n.op, Transpose)]
    return sum(graph.type(n.outputs[0]).elements for n in moved), len(graph.nodes)


class Sinker:
    """One walk down the graph. Rules use `base`, `constant` and `node`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._put_off: dict[str, Put] = {}  # by the name of the value in the old graph
        self._done: dict[tuple[str, Movement], str] = {}  # movements that had to be done
        self._values: dict[str, Value] = dict(graph.values)
        self._names = {*graph.values, *(n.name for n in graph.nodes)}
        self._nodes: list[Node] = []
        self._equal: dict[str, str] = {}

    def run(self) -> Graph:
        for node in self.graph.nodes:
            if not self._moves(node) and not self._sinks(node):
                self._nodes.append(replace(node, inputs=tuple(self._settled(n) for n in node.inputs)))
        for name in self.graph.outputs:
            self._written(name)
        return forward(rewrite(self.graph, self._nodes, self._values.values()), self._equal)

    # What rules use

    def put(self, name: str) -> Put:
        """What the value called `name` in the old graph is: a value of the new one, reordered."""
        return self._put_off.get(name) or Put(name, Movement.identity(self.graph.type(name).shape))

    def viewed(self, put: Put, shape: Shape) -> str:
        """The value behind `put` in another shape of the same elements."""
        return put.base if shape == put.movement.source else self._reshaped(put.base, shape)

    def constant(self, name: str, data: Array, quant: Quant | None) -> str:
        """A new constant in place of `name`, of its element type."""
        return self._add(name, TensorType(data.shape, self.graph.type(name).dtype, quant), data)

    def write(self, node: Node, inputs: Sequence[str], movement: Movement, **attributes: object) -> None:
        """`node` on new inputs; what it wrote is from now on its result reordered by `movement`."""
        op = replace(node.op, **attributes) if attributes else node.op  # type: ignore[type-var]
        type = self.graph.type(node.outputs[0])
        name = node.outputs[0]
        if not movement.is_identity:
            name = self._add(f"{name}_base", TensorType(movement.source, type.dtype, type.quant))
            self._put_off[node.outputs[0]] = Put(name, movement)
        self._nodes.append(replace(node, op=op, inputs=tuple(inputs), outputs=(name,)))

    # The walk

    def _moves(self, node: Node) -> bool:
        """Puts off a transpose or a reshape."""
        if not isinstance(node.op, (Transpose, Reshape)):
            return False
        base, movement = self.put(node.inputs[0])
        target = self.graph.type(node.outputs[0]).shape
        whole = movement.reshaped(target) if isinstance(node.op, Reshape) else movement.transposed(node.op.permutation)
        if whole is None:
            base = self._settled(node.inputs[0])
            whole = Movement.identity(self.graph.type(node.inputs[0]).shape).transposed(node.op.permutation)  # type: ignore[union-attr]
            assert whole is not None
        self._put_off[node.outputs[0]] = Put(base, whole)
        return True

    def _sinks(self, node: Node) -> bool:
        """Lets `node` work on what is behind its inputs, if its op can."""
        if all(self.put(n).movement.is_identity for n in node.inputs) or len(node.outputs) > 1:
            return False
        rule = next((rule for kind, rule in RULES.items() if isinstance(node.op, kind)), None)
        return rule is not None and rule(self, node)

    def _settled(self, name: str) -> str:
        """The value with its movement done."""
        if name not in self._put_off:
            return name
        put = self._put_off[name]
        if put.movement.is_identity:
            return put.base
        if put not in self._done:
            self._done[put] = self._do(put)
        return self._done[put]

    def _written(self, name: str) -> None:
        """An output of the graph, under its name."""
        if name in self._put_off:
            settled = self._settled(name)
            self._nodes.append(Node(self._name("view"), Reshape(self.graph.type(name).shape), (settled,), (name,)))
            self._equal[name] = settled

    def _do(self, put: Put) -> str:
        base, movement = put
        for view, axes, target in movement.steps():
            base = self._reshaped(base, view)
            type = self._values[base].type
            moved = TensorType(tuple(view[a] for a in axes), type.dtype, type.quant)
            name = self._add(f"{base}_moved", moved)
            self._nodes.append(Node(self._name("transpose"), Transpose(axes), (base,), (name,)))
            base = self._reshaped(name, target)
        return self._reshaped(base, movement.target)

    def _reshaped(self, name: str, shape: Shape) -> str:
        type = self._values[name].type
        if type.shape == shape:
            return name
        assert math.prod(shape) == type.elements
        view = self._add(f"{name}_view", TensorType(shape, type.dtype, type.quant))
        self._nodes.append(Node(self._name("reshape"), Reshape(shape), (name,), (view,)))
        return view

    def _add(self, name: str, type: TensorType, data: Array | None = None) -> str:
        name = self._name(name)
        self._values[name] = Value(name, type, data)
        return name

    def _name(self, name: str) -> str:
        name = unique(name, self._names)
        self._names.add(name)
        return name
