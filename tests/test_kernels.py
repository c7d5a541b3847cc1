"""Every kernel on every case that it serves, forced: emitted C equals the interpreter, on this computer and emulated.

All cases of a feature set are nodes of one graph, so that each compiler runs once. On the host the model runs as it was
emitted (results in place where kernels allow it, arenas full of noise, undefined behavior trapped), and every step runs
alone on buffers of its own, its rows cut into one, two and three calls, under AddressSanitizer.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import host
from cases import Trial, all_cases, label, samples, together, trials
from device_programs import need
from ratti import targets
from ratti.device import linux
from ratti.device.host import build_executable
from ratti.device.measure import measure
from ratti.device.program import Program, Slot
from ratti.emit.c import CSources, emit
from ratti.fixed_point import requantize
from ratti.graph import interpreter
from ratti.kernels import FEATURES, Work, all_kernels, candidates
from ratti.kernels._rounding import single
from ratti.ops.reshape import Reshape
from ratti.plan import Plan, make_plan
from ratti.types import Array

# Each set adds the calls that differ from those of the sets before it; sets that add none are left out.
SETS = ("portable", "armv6m", "armv7em", "armv81m", "neon")
QEMU = {"aarch64": ("qemu-aarch64",), "aarch64-dotprod": ("qemu-aarch64", "-cpu", "max"), "armv7l": ("qemu-arm",)}
OTHERS = ("aarch64", "armv7l")  # zig builds its C library for each: minutes where the computer is busy
TARGETS = ("stm32l4r5zi", "rp2040", "esp32c3", "ch32v003")


@dataclass(frozen=True)
class Bench:
    """A model of many trials: what `features` adds to the sets before it, or everything; with `seed` random cases."""

    features: str
    everything: bool = False
    seed: int | None = None

    @property
    def name(self) -> str:
        return f"every_{self.features}" if self.seed is None else f"random_{self.seed}_{self.features}"

    @property
    def trials(self) -> list[Trial]:
        return trials(self.features, () if self.everything else SETS[: SETS.index(self.features)], self.seed)


@cache
def emitted(bench: Bench) -> tuple[Plan, CSources]:
    graph, kernels = together(bench.name, bench.trials)
    plan = make_plan(graph, FEATURES[bench.features], kernels=kernels)
    return plan, emit(plan, bench.name)


@cache
def values(bench: Bench, count: int) -> tuple[list[list[Array]], list[dict[str, Array]]]:
    """Inputs, and what every activation should be."""
    graph = emitted(bench)[0].graph
    inputs = samples([graph.type(n) for n in graph.inputs], count)
    return inputs, [interpreter.run(graph, x, keep=True) for x in inputs]


def assert_same(got: Sequence[Array], want: Sequence[dict[str, Array]], names: Sequence[str]) -> None:
    """Names the cases that differ, with the number of elements that do."""
    differ: dict[str, int] = {}
    for row, expected in zip(got, want, strict=True):
        at = 0
        for name in names:
            codes = expected[name].ravel().view(np.int8)
            bytes_ = codes.size
            count = np.count_nonzero(row[at : at + bytes_] != codes)
            differ[name] = differ.get(name, 0) + int(count)
            at += bytes_
    assert {n: k for n, k in differ.items() if k} == {}


def run_as_emitted(bench: Bench) -> None:
    _, c = emitted(bench)
    inputs, want = values(bench, 8)
    program = build_executable({**c.files, "main.c": host.arena_main(bench.name, c)}, "undefined", host.QUICK)
    size = sum(p.type.bytes for p in c.outputs)
    for noise in (0xA5, 0x5A):
        assert_same(host.run(program, inputs, size, noise), want, [p.name for p in c.outputs])


def run_steps_alone(bench: Bench) -> None:
    plan, c = emitted(bench)
    _, want = values(bench, 8)
    sources = {f"{bench.name}.h": c.files[f"{bench.name}.h"], "steps.c": host.steps_main(bench.name, plan, c)}
    program = build_executable(sources, "address", host.QUICK)
    operands = [[w[n] for step in plan.steps for n in step.inputs] for w in want]
    size = sum(s.work.output.bytes for s in plan.steps)
    for parts in (1, 2, 3):
        assert_same(host.run(program, operands, size, parts), want, [s.output for s in plan.steps])


def run_emulated(bench: Bench, target_id: str, optimize: str, roomy: bool = True) -> None:
    _, c = emitted(bench)
    inputs, want = values(bench, 2)
    slots = [tuple(Slot(p.offset_bytes, p.type.bytes) for p in ports) for ports in (c.inputs, c.outputs)]
    program = Program(c.files, c.entry, c.arena_bytes, *slots, c.steps)
    # Hundreds of layers do not fit the real memories, and need not.
    target = targets.load(target_id).roomy() if roomy else targets.load(target_id)
    result = measure(program, target, inputs, optimize=optimize)
    got = [np.concatenate(outputs).view(np.int8) for outputs in result.outputs]
    assert_same(got, want, [p.name for p in c.outputs])


def run_under_qemu(bench: Bench, kind: str) -> None:
    if shutil.which(QEMU[kind][0]) is None:
        pytest.skip(f"{QEMU[kind][0]} is missing (Debian: qemu-user)")
    _, c = emitted(bench)
    inputs, want = values(bench, 4)
    program = linux.executable({**c.files, "main.c": host.arena_main(bench.name, c)}, kind)
    size = sum(p.type.bytes for p in c.outputs)
    assert_same(host.run(program, inputs, size, 0xA5, QEMU[kind]), want, [p.name for p in c.outputs])


@pytest.mark.toolchain
@pytest.mark.parametrize("features", SETS)
def test_host_runs_models_as_emitted(features: str) -> None:
    run_as_emitted(Bench(features))


@pytest.mark.toolchain
@pytest.mark.parametrize("features", SETS)
def test_steps_alone_touch_their_bytes_only_and_take_row_ranges(
    features: str, system_compiler: Callable[[str], str]
) -> None:
    system_compiler("gcc")
    run_steps_alone(Bench(features))


@pytest.mark.toolchain
@pytest.mark.parametrize(
    ("target_id", "optimize"), [*((t, "speed") for t in TARGETS), ("stm32l4r5zi", "size"), ("ch32v003", "size")]
)
def test_emulated_cores_equal_the_interpreter(target_id: str, optimize: str) -> None:
    run_emulated(Bench(targets.load(target_id).isa, everything=True), target_id, optimize)


@pytest.mark.toolchain
@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_vectors_equal_the_interpreter(optimize: str) -> None:
    need("mps3-an547")
    run_emulated(Bench("armv81m"), "mps3-an547", optimize, roomy=False)


@pytest.mark.toolchain
@pytest.mark.parametrize("kind", ["aarch64-dotprod", *(pytest.param(k, marks=pytest.mark.slow) for k in OTHERS)])
def test_neon_equals_the_interpreter(kind: str) -> None:
    run_under_qemu(Bench("neon"), kind)


@pytest.mark.slow
@pytest.mark.toolchain
@pytest.mark.parametrize("seed", range(100, 104))
def test_random_layers(seed: int, system_compiler: Callable[[str], str]) -> None:
    system_compiler("gcc")
    for features in SETS:
        run_as_emitted(Bench(features, seed=seed))
        run_steps_alone(Bench(features, seed=seed))
    for target_id in TARGETS:
        run_emulated(Bench(targets.load(target_id).isa, everything=True, seed=seed), target_id, "speed")
    for kind in QEMU:
        run_under_qemu(Bench("neon", seed=seed), kind)


def test_the_other_sets_add_no_calls() -> None:
    assert {f: trials(f, SETS) for f in FEATURES if f not in SETS} == {f: [] for f in FEATURES if f not in SETS}


@st.composite
def channels(draw: st.DrawFn) -> tuple[Array, Array, Array, Array, int, tuple[int, int]]:
    """Multipliers, shifts and bounds of a few channels; an output's zero point and its codes."""
    count = draw(st.integers(1, 3))
    column = lambda low, high: np.array([draw(st.integers(low, high)) for _ in range(count)], np.int64)  # noqa: E731
    multiplier, shift = column(1 << 30, (1 << 31) - 1), np.full(count, draw(st.integers(1, 12)))
    low, high = column(-20_000, -1), column(0, 20_000)
    zero = draw(st.sampled_from([-128, -128, -128, 127, 0, -37]))
    codes = sorted((draw(st.sampled_from([zero, -128, 90])), draw(st.sampled_from([127, max(zero, -28), 90]))))
    return multiplier, shift, low, high, zero, (codes[0], codes[1])


@settings(max_examples=150, deadline=None)
@given(channels())
def test_one_rounding_equals_two(case: tuple[Array, Array, Array, Array, int, tuple[int, int]]) -> None:
    """Where constants for a single rounding are given, they hold for every accumulator between the bounds."""
    multiplier, shift, low, high, zero, codes = case
    found = single(multiplier, shift, low, high, zero, codes)
    if found is None:
        return
    for k in range(len(multiplier)):
        acc = np.arange(low[k], high[k] + 1)
        want = requantize(acc, int(multiplier[k]), -int(shift[k])) + zero
        got = ((acc + found.bias[k]) * found.multiplier[k] >> 32) + found.offset[k]
        np.testing.assert_array_equal(np.clip(got, *codes), np.clip(want, *codes))


@pytest.mark.parametrize("features", FEATURES)
def test_every_case_has_a_kernel(features: str) -> None:
    for case in all_cases():
        work = Work(case.op, case.operands, case.outputs, FEATURES[features])
        assert candidates(work) or isinstance(case.op, Reshape) or len(case.outputs) > 1, label(case)


def test_every_kernel_serves_a_case_and_needs_known_features() -> None:
    tried = {t.kernel.name for s in FEATURES for t in trials(s)}
    assert tried == {k.name for k in all_kernels()}
    assert len(tried) == len(all_kernels())
    assert all(k.requires <= frozenset().union(*FEATURES.values()) for k in all_kernels())


@pytest.mark.parametrize("features", FEATURES)
def test_calls_are_consistent(features: str) -> None:
    """Estimates are positive, tables hold what their C types can, overlaps end where operands do."""
    limits = {"int8_t": (-128, 127), "uint32_t": (0, 2**32 - 1)}
    for trial in trials(features):
        work = Work(trial.case.op, trial.case.operands, trial.case.outputs, FEATURES[features])
        call = trial.kernel.call(work)
        assert trial.kernel.instructions(work) > 0
        assert call.scratch_bytes is None or call.scratch_bytes >= 0
        for table in call.tables:
            low, high = limits.get(table.ctype, (-(2**31), 2**31 - 1))
            assert table.data.size and low <= table.data.min() and table.data.max() <= high, trial.name
        for operand, source in enumerate(trial.case.operands):
            overlap = trial.kernel.overlap(work, operand) if source.data is None else None
            assert overlap is None or (overlap.step > 0 and -source.type.bytes <= overlap.distance)
