"""A graph as the planner sees it: layers with their kernels, and who reads what when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ..graph.ir import Graph, Node
from ..kernels import Kernel, Overlap, Work
from ..ops.reshape import Reshape
from .plan import Patches


@lru_cache(maxsize=1024)
def overlap_of(kernel: Kernel, work: Work, operand: int) -> Overlap | None:
    """How a kernel's result may overlap an operand."""
    return kernel.overlap(work, operand)


@dataclass(frozen=True)
class Layer:
    """A node that computes, the kernels that can, fastest first, and the one that is chosen."""

    node: Node
    work: Work
    options: tuple[Kernel, ...]
    kernel: Kernel

    @property
    def output(self) -> str:
        return self.node.outputs[0]


@dataclass(frozen=True, eq=False)
class Layers:
    """All of them, in order, and the values between them. A value is named by its root: reshaped values lie where they
    lay before.
    """

    graph: Graph
    items: tuple[Layer, ...]
    lower_bound_bytes: int = 0  # see `Plan`
    patches: Patches | None = None

    @cached_property
    def roots(self) -> Mapping[str, str]:
        """The root of every activation."""
        views = {n.outputs[0]: n.inputs[0] for n in self.graph.nodes if isinstance(n.op, Reshape)}
        found = {name: name for name in (*self.graph.inputs, *(layer.output for layer in self.items))}
        for view, name in views.items():  # in order, so the root of `name` is known
            found[view] = found[name]
        return found

    @cached_property
    def reads(self) -> tuple[tuple[tuple[int, str, str], ...], ...]:
        """By layer: (operand, name, root) of the activations that it reads."""
        return tuple(
            tuple((k, n, self.roots[n]) for k, n in enumerate(layer.node.inputs) if n in self.roots)
            for layer in self.items
        )

    @cached_property
    def born(self) -> Mapping[str, int]:
        """The layer that computes a root; -1 for inputs, which exist before the first."""
        return dict.fromkeys(self.graph.inputs, -1) | {layer.output: k for k, layer in enumerate(self.items)}

    @cached_property
    def last(self) -> Mapping[str, int]:
        """The last layer that reads a root; outputs outlive the last layer."""
        found = dict(self.born)
        for k, reads in enumerate(self.reads):
            found |= {root: k for _, _, root in reads}
        return found | {self.roots[o]: len(self.items) for o in self.graph.outputs}

    @cached_property
    def overlaps(self) -> Mapping[tuple[int, str], Overlap]:
        """(layer, root) to how the layer's result may overlap the operand, if nothing else reads it."""
        found: dict[tuple[int, str], Overlap] = {}
        for k, layer in enumerate(self.items):
            by_root: dict[str, list[Overlap | None]] = {}
            for operand, _, root in self.reads[k]:
                by_root.setdefault(root, []).append(overlap_of(layer.kernel, layer.work, operand))
            for root, overlaps in by_root.items():
                allowed = [o for o in overlaps if o is not None]
                if len(allowed) == len(overlaps) and len({o.step for o in allowed}) == 1:
                    found[k, root] = max(allowed, key=lambda o: o.distance)
        return found

    def bytes(self, root: str) -> int:
        return self.graph.type(root).bytes
