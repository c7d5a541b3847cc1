"""What the tests of the runtimes share: every op's cases as one graph, the smallest nets, what differs."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest

from cases import all_cases, label, samples
from ratti import nets, runtimes
from ratti.errors import RattiError
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder, from_case
from ratti.graph.ir import Graph
from ratti.nets import NetSpec
from ratti.nets._blocks import Block
from ratti.ops.base import Case, Operand
from ratti.runtimes import Engine
from ratti.samples import make_inputs

WIDTH, RESOLUTIONS = "0.25", (8, 16, 32, 48, 49, 64, 96, 224)
# Every family, each sort of its blocks once; in the slow suite its smallest net whole.
each_family = pytest.mark.parametrize(
    ("family", "whole"),
    [(f, False) for f in nets.families()] + [pytest.param(f, True, marks=pytest.mark.slow) for f in nets.families()],
    ids=[f"{f}{'-whole' * whole}" for whole in (False, True) for f in nets.families()],
)


def engine(name: str) -> Engine:
    """The engine `name`, or a skip that says what is missing."""
    found = runtimes.get(name)
    if not found.available():
        pytest.skip(f"the engine {name} is missing (pip install 'ratti[runtimes]')")
    return found


def skip_unless_taken(found: Engine, graph: Graph) -> None:
    """A skip with the engine's own words where it does not take a net."""
    reason = found.supports(graph)
    if reason:
        pytest.skip(f"optional: {found.name} does not take {graph.name}: {reason}")


def supported_cases(found: Engine, per_op: int | None = None) -> list[Case]:
    """The cases that the engine takes; the first `per_op` of each op."""
    kept: list[Case] = []
    for case in all_cases():
        if sum(c.op.name == case.op.name for c in kept) != per_op and not found.supports(from_case(case)):
            kept.append(case)
    return kept


def one_graph(cases: Sequence[Case]) -> Graph:
    """All cases side by side: one compilation, one run."""
    builder = GraphBuilder("cases")
    outputs: list[str] = []
    for case in cases:
        name = f"{case.op.name}_{case.label}"
        operands = [_operand(builder, f"{name}_{k}", o) for k, o in enumerate(case.operands)]
        outputs += builder.node(case.op, operands, case.outputs, name)
    return builder.build(outputs)


def _operand(builder: GraphBuilder, name: str, o: Operand) -> str:
    return builder.input(name, o.type) if o.data is None else builder.constant(name, o.data, o.type.quant)


def differences(found: Engine, cases: Sequence[Case], count: int = 3) -> dict[str, int]:
    """The largest difference from the interpreter of each case, in LSB; only cases that differ."""
    graph = one_graph(cases)
    infer, off = found.run(graph), dict.fromkeys(map(label, cases), 0)
    for row in samples([graph.type(n) for n in graph.inputs], count):
        wanted = interpreter.run(graph, row).values()
        owners = [case for case in cases for _ in case.outputs]
        for case, want, got in zip(owners, wanted, infer(row), strict=True):
            assert got.shape == want.shape and got.dtype == want.dtype, label(case)
            off[label(case)] = max(off[label(case)], int(np.abs(want.astype(int) - got.astype(int)).max()))
    return {name: most for name, most in off.items() if most}


def family_net(family: str, whole: bool) -> Graph:
    """The smallest net of a family; unless `whole`, without blocks that only repeat an earlier one in other widths."""
    for resolution in RESOLUTIONS:
        try:
            spec = nets.spec(f"{family}-{WIDTH}-{resolution}")
            return nets.random_graph(spec if whole else _without_repeats(spec))
        except (RattiError, ValueError):
            continue
    raise AssertionError(f"no net of {family} at {RESOLUTIONS}")


def _without_repeats(spec: NetSpec) -> NetSpec:
    kept, seen = list(spec.blocks), set()
    for block in spec.blocks:
        at = next(k for k, b in enumerate(kept) if b is block)
        if _sort(block) in seen:
            with contextlib.suppress(RattiError):  # where what follows needs its width, it stays
                spec = replace(spec, blocks=(*kept[:at], *kept[at + 1 :]))
                kept = list(spec.blocks)
        seen.add(_sort(block))
    return spec


def _sort(block: Block) -> tuple[object, ...]:
    """What a block is, whatever its widths."""
    values = ((f.name, getattr(block, f.name)) for f in fields(block))
    return (type(block), *(v if n == "groups" or type(v) is not int else "width" for n, v in values))


def largest_difference(found: Engine, graph: Graph, count: int = 6) -> int:
    """LSB by which the engine's outputs differ from the interpreter's."""
    infer, most = found.run(graph), 0
    for row in make_inputs(graph, count):
        for want, got in zip(interpreter.run(graph, row).values(), infer(row), strict=True):
            most = max(most, int(np.abs(want.astype(int) - got.astype(int)).max()))
    return most
