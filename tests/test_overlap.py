"""Results that lie over their operands: the distance that a kernel declares is safe, and one byte less is not.

Every kernel runs on every case that it serves with its result at exactly the declared distance from an operand, in an
arena full of noise. With the operand one byte nearer at least one case of each kernel must give other codes: what is
declared is the least distance.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

import host
from cases import Trial, samples, together, trials
from ratti.device.host import build_executable
from ratti.emit.c import CSources, emit
from ratti.graph import interpreter
from ratti.kernels import FEATURES, Overlap, Work
from ratti.plan import Plan, Step, make_plan
from ratti.types import Array

SETS = ("portable", "armv6m", "armv7em")


@cache
def emitted(features: str) -> tuple[Plan, CSources]:
    name = f"overlap_{features}"
    graph, kernels = together(name, _trials(features))
    plan = make_plan(graph, FEATURES[features], kernels=kernels)
    return plan, emit(plan, name)


def _trials(features: str) -> list[Trial]:
    found = trials(features, SETS[: SETS.index(features)])
    return [t for t in found if _overlaps(t, Work(t.case.op, t.case.operands, t.case.outputs, FEATURES[features]))]


def _overlaps(trial: Trial, work: Work) -> bool:
    return any(trial.kernel.overlap(work, k) for k, o in enumerate(work.operands) if o.data is None)


def distances(step: Step, index: int) -> list[int]:
    """Where an input may begin behind the result: as near as it may, and around it on a coarse grid."""
    operand = [k for k, o in enumerate(step.work.operands) if o.data is None][index]
    overlap = step.kernel.overlap(step.work, operand)
    if overlap is None:
        return []
    if overlap.step == 1:
        return [overlap.distance]
    return [k * overlap.step for k in (-1, 0, 1) if overlap.allows(0, k * overlap.step)]


def program(plan: Plan, c: CSources, chosen: Sequence[tuple[Step, int, int]]) -> str:
    """A program that runs steps, each with the result at a distance before the operand; `chosen` are (step, operand,
    distance). Its argument is how many bytes nearer the operand lies.
    """
    text = dict(zip((s.node.name for s in plan.steps), host.calls(plan.graph.name, c), strict=True))
    body: list[str] = []
    for step, operand, distance in chosen:
        function, arguments = text[step.node.name]
        sizes = [plan.graph.type(n).bytes for n in step.inputs]
        out, low = step.work.output.bytes, max(-distance, 0) + 1
        names = [f"in{k}" for k in range(len(sizes))] + ["out"] + ["scratch"] * bool(step.call.scratch_bytes)
        pointers = iter(names)
        arguments = re.sub(r"arena \+ \d+", lambda _, p=pointers: next(p), arguments)
        span = low + max(distance + sizes[operand], out) + 1
        body.append(f"        {{ int8_t *b = block({span}), *out = b + {low};")
        for k, size in enumerate(sizes):
            place = f"out + {distance} - nearer" if k == operand else f"block({size})"
            body.append(f"        int8_t *in{k} = {place};")
        if step.call.scratch_bytes:
            body.append(f"        int8_t *scratch = block({step.call.scratch_bytes});")
        body += [f"        if (fread(in{k}, {size}, 1, stdin) != 1) return 1;" for k, size in enumerate(sizes)]
        body.append(f"        {function}({arguments}); fwrite(out, {out}, 1, stdout); free(b); }}")
    return "\n".join(
        [
            "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + c.files[f"{plan.graph.name}.c"],
            "static int8_t *block(size_t bytes)\n{\n    int8_t *p = malloc(bytes);",
            "    memset(p, rand(), bytes);\n    return p;\n}",
            "int main(int argc, char **argv)\n{",
            "    int sample, samples = argc > 2 ? atoi(argv[1]) : 0, nearer = atoi(argv[2]);",
            "    for (sample = 0; sample < samples; ++sample) {",
            *body,
            "    }\n    return 0;\n}\n",
        ]
    )


def differing(got: Array, want: Sequence[dict[str, Array]], chosen: Sequence[tuple[Step, int, int]]) -> set[int]:
    """Which of `chosen` gave other codes than the interpreter."""
    found: set[int] = set()
    for row, expected in zip(got, want, strict=True):
        at = 0
        for index, (step, _, _) in enumerate(chosen):
            bytes_ = step.work.output.bytes
            if (row[at : at + bytes_] != np.frombuffer(expected[step.output].tobytes(), np.int8)).any():
                found.add(index)
            at += bytes_
    return found


@pytest.mark.toolchain
@pytest.mark.parametrize("features", SETS)
def test_declared_distances_are_safe_and_the_least(features: str) -> None:
    plan, c = emitted(features)
    chosen = [
        (step, operand, distance)
        for step in plan.steps
        for operand in range(len(step.inputs))
        for distance in distances(step, operand)
    ]
    inputs = samples([plan.graph.type(n) for n in plan.graph.inputs], 6)
    want = [interpreter.run(plan.graph, x, keep=True) for x in inputs]
    operands = [[w[n] for step, _, _ in chosen for n in step.inputs] for w in want]
    bytes_ = sum(step.work.output.bytes for step, _, _ in chosen)
    sources = {f"{plan.graph.name}.h": c.files[f"{plan.graph.name}.h"], "main.c": program(plan, c, chosen)}
    executable = build_executable(sources, None, host.QUICK)
    safe = differing(host.run(executable, operands, bytes_, 0), want, chosen)
    assert {chosen[k][0].node.name for k in safe} == set()
    broken = differing(host.run(executable, operands, bytes_, 1), want, chosen)
    overlapping = {s.kernel.name for s, o, d in chosen if -plan.graph.type(s.inputs[o]).bytes < d < s.work.output.bytes}
    overlapping -= {"conv_sparse"}  # its distance is the dense layer's: which bytes it reads depends on the weights
    assert overlapping <= {chosen[k][0].kernel.name for k in broken}


def test_overlaps_say_where() -> None:
    exact, grid = Overlap(-4), Overlap(-8, 4)
    assert exact.allows(4, 0) and exact.allows(0, 100) and not exact.allows(5, 0)
    assert grid.allows(8, 0) and grid.allows(0, 4) and not grid.allows(0, 2) and not grid.allows(12, 0)
