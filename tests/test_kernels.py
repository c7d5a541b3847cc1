"""Every kernel on every case that it serves, forced: emitted C equals the interpreter, on this computer and emulated.

All cases of a feature set are nodes of one graph, so that each compiler runs once. On the host the model runs as it was
emitted (results in place where kernels allow it, arenas full of noise, undefined behavior trapped), and every step runs
alone on buffers of its own, its rows cut into one, two and three calls, under AddressSanitizer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest

import host
from cases import Trial, all_cases, label, samples, together, trials
from ratti import targets
from ratti.device.host import build_executable
from ratti.device.measure import measure
from ratti.device.program import Program, Slot
from ratti.emit.c import CSources, emit
from ratti.errors import UnsupportedError
from ratti.graph import interpreter
from ratti.graph.builder import from_case
from ratti.kernels import FEATURES, Work, all_kernels, candidates
from ratti.ops.reshape import Reshape
from ratti.plan import Plan, make_plan
from ratti.types import Array

# Each set adds the calls that differ from those of the sets before it.
SETS = ("portable", "armv6m", "armv7em", "rv32ec", "rv32imc")
TARGETS = ("stm32l4r5zi", "rp2040", "esp32c3", "ch32v003")
# Ops that tflite-micro computes and no kernel does yet; they are refused in words.
UNSERVED: set[str] = set()


def new_trials(features: str) -> list[Trial]:
    return trials(features, SETS[: SETS.index(features)])


DIFFERING = [s for s in SETS if new_trials(s)]


@cache
def emitted(name: str, features: str, everything: bool) -> tuple[Plan, CSources]:
    graph, kernels = together(name, trials(features) if everything else new_trials(features))
    plan = make_plan(graph, FEATURES[features], kernels=kernels)
    return plan, emit(plan, name)


@cache
def values(name: str, features: str, everything: bool, count: int) -> tuple[list[list[Array]], list[dict[str, Array]]]:
    """Inputs, and what every activation should be."""
    graph = emitted(name, features, everything)[0].graph
    inputs = samples([graph.type(n) for n in graph.inputs], count)
    return inputs, [interpreter.run(graph, x, keep=True) for x in inputs]


def assert_same(got: Sequence[Array], want: Sequence[dict[str, Array]], names: Sequence[str]) -> None:
    """Names the cases that differ, with the number of elements that do."""
    differ: dict[str, int] = {}
    for row, expected in zip(got, want, strict=True):
        at = 0
        for name in names:
            bytes_ = expected[name].size
            count = np.count_nonzero(row[at : at + bytes_] != expected[name].ravel())
            differ[name] = differ.get(name, 0) + int(count)
            at += bytes_
    assert {n: k for n, k in differ.items() if k} == {}


@pytest.mark.toolchain
@pytest.mark.parametrize("features", DIFFERING)
def test_host_runs_models_as_emitted(features: str) -> None:
    name = f"every_{features}"
    _, c = emitted(name, features, False)
    inputs, want = values(name, features, False, 8)
    program = build_executable({**c.files, "main.c": host.arena_main(name, c)}, "undefined", host.QUICK)
    size = sum(p.type.bytes for p in c.outputs)
    for noise in (0xA5, 0x5A):
        assert_same(host.run(program, inputs, size, noise), want, [p.name for p in c.outputs])


@pytest.mark.toolchain
@pytest.mark.parametrize("features", DIFFERING)
def test_steps_alone_touch_their_bytes_only_and_take_row_ranges(
    features: str, system_compiler: Callable[[str], str]
) -> None:
    system_compiler("gcc")
    name = f"every_{features}"
    plan, c = emitted(name, features, False)
    _, want = values(name, features, False, 8)
    sources = {f"{name}.h": c.files[f"{name}.h"], "steps.c": host.steps_main(name, plan, c)}
    program = build_executable(sources, "address", host.QUICK)
    operands = [[w[n] for step in plan.steps for n in step.inputs] for w in want]
    size = sum(s.work.output.bytes for s in plan.steps)
    for parts in (1, 2, 3):
        assert_same(host.run(program, operands, size, parts), want, [s.output for s in plan.steps])


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("target_id", "optimize"), [*((t, "speed") for t in TARGETS), ("stm32l4r5zi", "size"), ("ch32v003", "size")]
)
def test_emulated_cores_equal_the_interpreter(target_id: str, optimize: str) -> None:
    target = targets.load(target_id)
    _, c = emitted("every", target.isa, True)
    inputs, want = values("every", target.isa, True, 2)
    slots = [tuple(Slot(p.offset_bytes, p.type.bytes) for p in ports) for ports in (c.inputs, c.outputs)]
    program = Program(c.files, c.entry, c.arena_bytes, *slots, c.steps)
    # Hundreds of layers do not fit the real memories, and need not.
    result = measure(program, target.roomy(), inputs, optimize=optimize)
    got = [np.concatenate(outputs).view(np.int8) for outputs in result.outputs]
    assert_same(got, want, [p.name for p in c.outputs])


@pytest.mark.parametrize("features", FEATURES)
def test_every_case_has_a_kernel(features: str) -> None:
    unserved = set()
    for case in all_cases():
        work = Work(case.op, case.operands, case.outputs, FEATURES[features])
        if not candidates(work) and not isinstance(case.op, Reshape):
            unserved.add(label(case))
            with pytest.raises(UnsupportedError, match=f"no kernel computes {case.op.name}"):
                make_plan(from_case(case), FEATURES[features])
    assert unserved == UNSERVED


def test_every_kernel_serves_a_case_and_needs_known_features() -> None:
    tried = {t.kernel.name for s in SETS for t in trials(s)}
    assert tried == {k.name for k in all_kernels()}
    assert len(tried) == len(all_kernels())
    assert all(k.requires <= frozenset().union(*FEATURES.values()) for k in all_kernels())


@pytest.mark.parametrize("features", SETS)
def test_calls_are_consistent(features: str) -> None:
    """Estimates are positive, tables hold what their C types can, operands of in-place results are large enough."""
    limits = {"int8_t": (-128, 127), "uint32_t": (0, 2**32 - 1)}
    for trial in trials(features):
        work = Work(trial.case.op, trial.case.operands, trial.case.outputs, FEATURES[features])
        call = trial.kernel.call(work)
        assert trial.kernel.instructions(work) > 0
        assert call.scratch_bytes is None or call.scratch_bytes >= 0
        for table in call.tables:
            low, high = limits.get(table.ctype, (-(2**31), 2**31 - 1))
            assert table.data.size and low <= table.data.min() and table.data.max() <= high, trial.name
        for operand in trial.kernel.in_place(work):
            assert work.types[operand].bytes >= work.output.bytes
