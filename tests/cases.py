"""What the conformance tests share: every op's cases, inputs that find their corners, graphs of many cases at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from graphs import random_graph
from ratti import ops
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.kernels import FEATURES, Kernel, Work, candidates
from ratti.ops.base import Case, Operand
from ratti.ops.reshape import Reshape
from ratti.types import Array, TensorType

SEED = 20


def all_cases() -> list[Case]:
    """The cases of every op in the registry; the same on every call."""
    return [case for name in ops.names() for case in ops.get(name).cases(np.random.default_rng(SEED))]


def label(case: Case) -> str:
    return f"{case.op.name}-{case.label}"


def samples(types: Sequence[TensorType], count: int = 8, seed: int = SEED) -> list[list[Array]]:
    """Inputs: all low, all high, the zero points and their neighbors, codes of both ends, then random."""
    rng = np.random.default_rng(seed)
    fills = [
        lambda t: np.full(t.shape, t.dtype.limits[0]),
        lambda t: np.full(t.shape, t.dtype.limits[1]),
        lambda t: np.full(t.shape, t.zero_point),
        lambda t: t.zero_point + rng.integers(-1, 2, t.shape),
        lambda t: rng.choice(t.dtype.limits, t.shape),
    ]
    fills += [lambda t: rng.integers(t.dtype.limits[0], t.dtype.limits[1] + 1, t.shape)] * count
    return [[np.clip(fill(t), *t.dtype.limits).astype(t.dtype.numpy) for t in types] for fill in fills]


@dataclass(frozen=True, eq=False)
class Trial:
    """One case on one kernel."""

    case: Case
    kernel: Kernel

    @property
    def name(self) -> str:
        """The node's name: it says what failed."""
        return f"{self.case.op.name}_{self.case.label}_on_{self.kernel.name}"


@cache
def trials(features: str, beside: tuple[str, ...] = (), seed: int | None = None) -> list[Trial]:
    """Every case on every kernel that serves it with `features`, less the calls that a set in `beside` makes alike.

    With `seed` the cases are those of random graphs.
    """
    known = {key for name in beside for key, _ in _calls(name, seed)}
    return [trial for key, trial in _calls(features, seed) if key not in known]


@cache
def _calls(set_name: str, seed: int | None) -> list[tuple[object, Trial]]:
    features, found = FEATURES[set_name], []
    for case in all_cases() if seed is None else random_cases(seed):
        work = Work(case.op, case.operands, case.outputs, features)
        for kernel in candidates(work):
            call = kernel.call(work)
            tables = tuple((t.role, t.ctype, t.data.tobytes()) for t in call.tables)
            trial = Trial(case, kernel)
            found.append(((trial.name, call.function, repr(call.constants), tables, call.scratch_bytes), trial))
    return found


def random_cases(seed: int, count: int = 60) -> list[Case]:
    """The nodes of a random graph, each on its own."""
    graph = random_graph(seed, count)
    return [
        Case(f"{seed}_{k}", node.op, graph.operands(node), graph.output_types(node))
        for k, node in enumerate(graph.nodes)
    ]


def together(name: str, trials: Sequence[Trial]) -> tuple[Graph, dict[str, Kernel]]:
    """One graph with a node for each trial, and the kernel of each node."""
    builder = GraphBuilder(name)
    outputs: list[str] = []
    for trial in trials:
        case = trial.case
        names = [_operand(builder, f"{trial.name}_{k}", o) for k, o in enumerate(case.operands)]
        outputs += builder.node(case.op, names, case.outputs, trial.name)
    return builder.build(outputs), {t.name: t.kernel for t in trials}


def _operand(builder: GraphBuilder, name: str, operand: Operand) -> str:
    """A constant, or an input; firmware takes one sample, so a batch arrives as (1, N, ...) and is reshaped."""
    type = operand.type
    if operand.data is not None:
        return builder.constant(name, operand.data, type.quant, type.dtype)
    if len(type.shape) < 2 or type.shape[0] == 1:
        return builder.input(name, type)
    batch = builder.input(f"{name}_batch", TensorType((1, *type.shape), type.dtype, type.quant))
    return builder.node(Reshape(type.shape), [batch], [type], f"{name}_view")[0]
