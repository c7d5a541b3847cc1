"""Choice of kernels, life times, overlap of results with operands, and arena offsets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import UnsupportedError
from ..graph.ir import Graph, Node
from ..kernels import Call, Kernel, Overlap, Work, candidates
from ..ops.reshape import Reshape
from .arena import Block, place, shared_bytes


@dataclass(frozen=True)
class Step:
    """One kernel call."""

    node: Node
    kernel: Kernel
    work: Work
    call: Call
    inputs: tuple[str, ...]  # activations, in the kernel's order
    output: str
    scratch_offset: int
    live: tuple[tuple[str, int], ...]  # names and bytes of the activations that exist while the step runs
    shared_bytes: int  # of them, what the result shares with operands

    @property
    def live_bytes(self) -> int:
        """Activations and scratch that exist while the step runs."""
        return sum(size for _, size in self.live) - self.shared_bytes + (self.call.scratch_bytes or 0)


@dataclass(frozen=True)
class Plan:
    """How a graph is computed in one arena. Offsets and sizes in bytes."""

    graph: Graph
    steps: tuple[Step, ...]
    offsets: Mapping[str, int]  # of every activation
    arena_bytes: int
    activation_bytes: int  # what the arena would take without scratch
    lower_bound_bytes: int  # of the activations of any plan that computes layer by layer, in this order

    @property
    def scratch_bytes(self) -> int:
        """What scratch adds to the arena."""
        return self.arena_bytes - self.activation_bytes

    @property
    def peak(self) -> Step:
        """The step that needs the most memory."""
        return max(self.steps, key=lambda s: s.live_bytes)


def make_plan(
    graph: Graph,
    features: frozenset[str],
    arena_limit: int | None = None,
    kernels: Mapping[str, Kernel] | None = None,
) -> Plan:
    """A plan for a core with `features`: the fastest kernels, or slower ones with less scratch for `arena_limit`.

    `kernels` fixes the choice for nodes by name. A plan over `arena_limit` is still returned: it is the smallest that
    was found. UnsupportedError where the graph is not int8 or no kernel serves a node.
    """
    if not graph.is_quantized:
        raise UnsupportedError(f"model '{graph.name}' is a float model; only int8 models become firmware")
    _refuse_unplannable(graph)
    nodes = [n for n in graph.nodes if not isinstance(n.op, Reshape)]
    if not nodes:
        raise UnsupportedError(f"model '{graph.name}' computes nothing")
    fixed = kernels or {}
    works = [Work.of(graph, n, features) for n in nodes]
    options = [[fixed[n.name]] if n.name in fixed else _kernels(n, w) for n, w in zip(nodes, works, strict=True)]
    choice = [o[0] for o in options]
    plan = _plan(graph, nodes, works, choice)
    while arena_limit is not None and plan.arena_bytes > arena_limit:
        smaller = _smaller_scratch(plan, options, choice)
        if smaller is None:
            break
        choice = smaller
        plan = _plan(graph, nodes, works, choice)
    return plan


def _refuse_unplannable(graph: Graph) -> None:
    for name in graph.inputs:
        shape = graph.type(name).shape
        if len(shape) > 1 and shape[0] != 1:
            raise UnsupportedError(f"input '{name}' is a batch of {shape[0]}; firmware takes one sample at a time")
    for name in graph.outputs:
        if graph.values[name].is_constant:
            raise UnsupportedError(f"output '{name}' is a constant; leave it out of the model")
    for node in graph.nodes:
        for name in (*graph.activations(node.inputs), *node.outputs):
            type = graph.type(name)
            if len(type.shape) == 4 and type.shape[0] != 1:
                raise UnsupportedError(
                    f"{node.op.name} '{node.name}' works on a batch of {type.shape[0]} inside the model"
                )


def _kernels(node: Node, work: Work) -> list[Kernel]:
    found = candidates(work)
    if not found:
        shapes = ", ".join("x".join(map(str, t.shape)) for t in work.types)
        raise UnsupportedError(f"no kernel computes {node.op.name} '{node.name}' ({shapes}): {node.op}")
    return found


def _smaller_scratch(plan: Plan, options: list[list[Kernel]], choice: list[Kernel]) -> list[Kernel] | None:
    """The choice with the scratch of the peak's step reduced, or None."""
    order = sorted(range(len(plan.steps)), key=lambda k: -plan.steps[k].live_bytes)
    k = order[0]
    work, scratch = plan.steps[k].work, plan.steps[k].call.scratch_bytes or 0
    for kernel in options[k][options[k].index(choice[k]) + 1 :]:
        if (kernel.call(work).scratch_bytes or 0) < scratch:
            return [*choice[:k], kernel, *choice[k + 1 :]]
    return None


def _plan(graph: Graph, nodes: Sequence[Node], works: Sequence[Work], kernels: Sequence[Kernel]) -> Plan:
    calls = [k.call(w) for k, w in zip(kernels, works, strict=True)]
    homes, blocks = _storage(graph, nodes)
    rules = _rules(nodes, works, kernels, homes, blocks)
    scratch = [
        Block(f"{n.name}/scratch", c.scratch_bytes or 0, k, k)
        for k, (n, c) in enumerate(zip(nodes, calls, strict=True))
    ]
    placed, arena_bytes = place([*blocks.values(), *(s for s in scratch if s.bytes)], rules)
    offsets = {value: placed[home] for value, home in homes.items()}
    steps = []
    for k, (node, kernel, work, call) in enumerate(zip(nodes, kernels, works, calls, strict=True)):
        alive = [b for b in blocks.values() if b.first <= k <= b.last]
        steps.append(
            Step(
                node=node,
                kernel=kernel,
                work=work,
                call=call,
                inputs=graph.activations(node.inputs),
                output=node.outputs[0],
                scratch_offset=placed.get(scratch[k].name, 0),
                live=tuple((b.name, b.bytes) for b in alive),
                shared_bytes=shared_bytes(alive, placed),
            )
        )
    activation_bytes = min(place(list(blocks.values()), rules)[1], arena_bytes)
    return Plan(graph, tuple(steps), offsets, arena_bytes, activation_bytes, _lower_bound(blocks.values(), len(nodes)))


def _storage(graph: Graph, nodes: Sequence[Node]) -> tuple[dict[str, str], dict[str, Block]]:
    """The block that each activation lives in, and the blocks by name.

    A reshaped value stays in its block. Inputs exist before the first step, outputs after the last.
    """
    end = len(nodes)  # an output outlives the last step, which may read it too
    views = {n.outputs[0]: n.inputs[0] for n in graph.nodes if isinstance(n.op, Reshape)}

    def root(name: str) -> str:
        while name in views:
            name = views[name]
        return name

    born = dict.fromkeys(graph.inputs, -1) | {n.outputs[0]: k for k, n in enumerate(nodes)}
    last_use = dict(born)
    for k, node in enumerate(nodes):
        for name in graph.activations(node.inputs):
            last_use[root(name)] = max(last_use[root(name)], k)
    last_use |= {root(o): end for o in graph.outputs}
    blocks = {name: Block(name, graph.type(name).bytes, first, last_use[name]) for name, first in born.items()}
    return {name: root(name) for name in (*born, *views)}, blocks


def _rules(
    nodes: Sequence[Node],
    works: Sequence[Work],
    kernels: Sequence[Kernel],
    homes: Mapping[str, str],
    blocks: Mapping[str, Block],
) -> dict[tuple[str, str], Overlap]:
    """How results may overlap operands that no later step reads."""
    rules: dict[tuple[str, str], Overlap] = {}
    for k, (node, work, kernel) in enumerate(zip(nodes, works, kernels, strict=True)):
        found: dict[str, list[Overlap | None]] = {}
        for operand, name in enumerate(node.inputs):
            home = homes.get(name)  # none: a constant
            if home is not None and blocks[home].last == k:
                found.setdefault(home, []).append(kernel.overlap(work, operand))
        for home, overlaps in found.items():
            allowed = [o for o in overlaps if o is not None]
            if len(allowed) == len(overlaps) and len({o.step for o in allowed}) == 1:
                rules[node.outputs[0], home] = max(allowed, key=lambda o: o.distance)
    return rules


def _lower_bound(blocks: Iterable[Block], steps: int) -> int:
    """Bytes that activations take in any arena, layer by layer in this order: a step's operands exist before it, its
    result behind it, and all that is needed later through it."""
    blocks = list(blocks)
    before = [sum(b.bytes for b in blocks if b.first < k <= b.last) for k in range(steps)]
    behind = [sum(b.bytes for b in blocks if b.first <= k < b.last) for k in range(steps)]
    return max(*before, *behind)
