"""Choice of kernels, life times, in-place results and arena offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import UnsupportedError
from ..graph.ir import Graph, Node
from ..kernels import Call, Kernel, Work, candidates
from ..ops.reshape import Reshape
from .arena import Block, live_bytes, place


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

    @property
    def live_bytes(self) -> int:
        """Activations and scratch that exist while the step runs."""
        return sum(size for _, size in self.live) + (self.call.scratch_bytes or 0)


@dataclass(frozen=True)
class Plan:
    """How a graph is computed in one arena. Offsets and sizes in bytes."""

    graph: Graph
    steps: tuple[Step, ...]
    offsets: Mapping[str, int]  # of every activation
    arena_bytes: int
    activation_bytes: int  # what the arena would take without scratch
    lower_bound_bytes: int  # largest sum of activations that exist together, none sharing its place

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
    in_place = [k.in_place(w) for k, w in zip(kernels, works, strict=True)]
    homes, blocks = _storage(graph, nodes, in_place)
    _, separate = _storage(graph, nodes, [()] * len(nodes))
    scratch = [
        Block(f"{n.name}/scratch", c.scratch_bytes or 0, k, k)
        for k, (n, c) in enumerate(zip(nodes, calls, strict=True))
    ]
    everything = [*blocks, *(s for s in scratch if s.bytes)]
    placed, arena_bytes = place(everything)
    offsets = {value: placed[home] for value, home in homes.items()}
    live = [tuple((b.name, b.bytes) for b in blocks if b.first <= k <= b.last) for k in range(len(nodes))]
    steps = tuple(
        Step(n, kernel, w, c, graph.activations(n.inputs), n.outputs[0], placed.get(s.name, 0), alive)
        for n, kernel, w, c, s, alive in zip(nodes, kernels, works, calls, scratch, live, strict=True)
    )
    activation_bytes = min(place(blocks)[1], arena_bytes)
    return Plan(graph, steps, offsets, arena_bytes, activation_bytes, max(live_bytes(separate, len(nodes))))


def _storage(
    graph: Graph, nodes: Sequence[Node], in_place: Sequence[tuple[int, ...]]
) -> tuple[dict[str, str], list[Block]]:
    """The block that each activation lives in, and the blocks.

    A reshaped value stays in its block. A result takes over the block of an operand that dies in the step, where the
    kernel allows it. Inputs exist before the first step, outputs after the last.
    """
    end = len(nodes)  # an output outlives the last step, which may read it too
    views = {n.outputs[0]: n.inputs[0] for n in graph.nodes if isinstance(n.op, Reshape)}

    def root(name: str) -> str:
        while name in views:
            name = views[name]
        return name

    last_use = {root(o): end for o in graph.outputs}
    for k, node in enumerate(nodes):
        for name in graph.activations(node.inputs):
            last_use[root(name)] = max(last_use.get(root(name), 0), k)
    spans: dict[str, tuple[int, int, int]] = {}  # block: bytes, first, last
    homes: dict[str, str] = {}
    for name in graph.inputs:
        homes[name] = name
        spans[name] = (graph.type(name).bytes, 0, last_use.get(name, 0))
    for k, node in enumerate(nodes):
        output = node.outputs[0]
        bytes_, last = graph.type(output).bytes, last_use.get(output, k)
        home = output
        for operand in in_place[k]:
            source = root(node.inputs[operand])
            block = homes.get(source)
            if block is not None and last_use[source] == k and spans[block][2] == k and spans[block][0] >= bytes_:
                home = block
                break
        homes[output] = home
        size, first, _ = spans.get(home, (bytes_, k, last))
        spans[home] = (size, first, last)
    for name in views:
        homes[name] = homes[root(name)]
    return homes, [Block(name, *span) for name, span in spans.items()]
