"""Plans: blocks that live together do not overlap, results are in place only where that is safe, arenas are small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import host
from cases import samples
from graphs import random_graph
from ratti.device.host import build_executable
from ratti.emit.c import emit
from ratti.errors import UnsupportedError
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.graph.passes import run_pipeline
from ratti.kernels import FEATURES
from ratti.ops.add import Add
from ratti.ops.base import int8
from ratti.ops.conv2d import Conv2D
from ratti.ops.relu import Relu
from ratti.ops.reshape import Reshape
from ratti.plan import Plan, Step, make_plan
from ratti.plan.arena import ALIGNMENT, Block, live_bytes, place
from ratti.types import DType, Quant, TensorType

PORTABLE = FEATURES["portable"]
STEPS = 12
BLOCKS = st.lists(
    st.tuples(st.integers(1, 5000), st.integers(0, STEPS - 1), st.integers(0, STEPS - 1)), min_size=1, max_size=25
).map(lambda items: [Block(f"b{k}", size, min(a, b), max(a, b)) for k, (size, a, b) in enumerate(items)])


@settings(max_examples=60, deadline=None)
@given(BLOCKS)
def test_blocks_that_live_together_do_not_overlap(blocks: list[Block]) -> None:
    offsets, size = place(blocks)
    assert set(offsets) == {b.name for b in blocks}
    for k, a in enumerate(blocks):
        start = offsets[a.name]
        assert start >= 0 and start % ALIGNMENT == 0 and start + a.bytes <= size
        for b in blocks[:k]:
            if a.first <= b.last and b.first <= a.last:
                assert start + a.bytes <= offsets[b.name] or offsets[b.name] + b.bytes <= start
    assert max(live_bytes(blocks, STEPS)) <= size <= sum(b.bytes + ALIGNMENT for b in blocks)
    assert place(list(reversed(blocks)))[1] == size  # the order in which blocks are named means nothing


def test_blocks_at_different_times_share_their_place() -> None:
    offsets, size = place([Block("a", 100, 0, 1), Block("b", 60, 1, 2), Block("c", 100, 2, 3)])
    assert size == 160 and offsets["a"] == offsets["c"]
    assert place([]) == ({}, 0)


def check_plan(plan: Plan) -> None:
    """Runs the plan on names instead of bytes: what a step reads must still be there, and nothing else be touched."""
    graph = plan.graph
    owner: dict[int, str] = {}
    views = {n.outputs[0]: n.inputs[0] for n in graph.nodes if isinstance(n.op, Reshape)}

    def root(name: str) -> str:
        while name in views:
            name = views[name]
        return name

    def place_of(name: str) -> range:
        return range(plan.offsets[name], plan.offsets[name] + graph.type(name).bytes)

    def check(name: str, when: str) -> None:
        assert {owner.get(k) for k in place_of(name)} == {root(name)}, f"{name} is gone {when}"

    for name in graph.inputs:
        assert not any(k in owner for k in place_of(name))
        owner.update(dict.fromkeys(place_of(name), name))
    for step in plan.steps:
        for name in step.inputs:
            check(name, f"when {step.node.name} reads it")
        out = set(place_of(step.output))
        scratch = set(range(step.scratch_offset, step.scratch_offset + (step.call.scratch_bytes or 0)))
        assert not scratch & out and step.scratch_offset % ALIGNMENT == 0
        for operand, name in enumerate(step.node.inputs):
            if graph.values[name].is_constant:
                continue
            assert not scratch & set(place_of(name))
            if out & set(place_of(name)):
                overlap = step.kernel.overlap(step.work, operand)
                assert overlap is not None and overlap.allows(plan.offsets[step.output], plan.offsets[name])
        for k in scratch | out:
            assert k < plan.arena_bytes
            owner[k] = step.output if k in out else "scratch"
    for name in graph.outputs:
        check(name, "after the last step")


def shared_bytes(plan: Plan, step: Step, name: str) -> int:
    """Bytes that a step's result shares with an operand."""
    first, second = plan.offsets[name], plan.offsets[step.output]
    return min(first + plan.graph.type(name).bytes, second + step.work.output.bytes) - max(first, second)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 25), st.sampled_from(sorted(FEATURES)))
def test_plans_of_random_graphs_are_sound(seed: int, nodes: int, features: str) -> None:
    graph = run_pipeline(random_graph(seed, nodes))
    if all(isinstance(n.op, Reshape) for n in graph.nodes):
        return
    plan = make_plan(graph, FEATURES[features])
    check_plan(plan)
    assert {s.node.name for s in plan.steps} == {n.name for n in graph.nodes if not isinstance(n.op, Reshape)}
    assert plan.lower_bound_bytes <= plan.activation_bytes
    assert plan.arena_bytes == plan.activation_bytes + plan.scratch_bytes
    assert plan.arena_bytes >= plan.peak.live_bytes


@pytest.mark.parametrize(("model", "bytes_"), [("kws", 8_000), ("ic", 32_768)])
@pytest.mark.parametrize("features", sorted(FEATURES))
def test_real_models_need_what_is_alive(model: str, bytes_: int, features: str, shared: Path) -> None:
    graph = run_pipeline(tflite.read(shared / "models" / f"{model}.tflite"))
    plan = make_plan(graph, FEATURES[features])
    check_plan(plan)
    assert plan.lower_bound_bytes == bytes_
    # The vector kernels read pixels where they lie, channel group by channel group: a result stays further behind them,
    # behind four at a time with NEON, whose processors have the memory.
    spare = next((s for f, s in (("mve", 1.25), ("neon", 1.45)) if f in FEATURES[features]), 1.04)
    assert plan.activation_bytes <= spare * bytes_


@pytest.mark.toolchain
@pytest.mark.parametrize("seed", [1, 2])
def test_random_graphs_run_in_noise(seed: int) -> None:
    """One arena for all steps, filled with noise before each run: outputs equal the interpreter's."""
    graph = run_pipeline(random_graph(seed, 40))
    plan = make_plan(graph, FEATURES[("portable", "armv7em")[seed % 2]])
    check_plan(plan)
    assert any(shared_bytes(plan, s, i) for s in plan.steps for i in s.inputs)
    c = emit(plan, "random")
    program = build_executable({**c.files, "main.c": host.arena_main("random", c)}, "undefined", host.QUICK)
    inputs = samples([graph.type(n) for n in graph.inputs], 6)
    want = [np.concatenate([a.ravel() for a in interpreter.run(graph, x).values()]) for x in inputs]
    for noise in (0xA5, 0x5A):
        np.testing.assert_array_equal(host.run(program, inputs, len(want[0]), noise), want)


def one_relu(shape: tuple[int, ...] = (1, 8)) -> GraphBuilder:
    builder = GraphBuilder("one")
    x = builder.input("x", int8(shape, 0.1, 0))
    builder.quantized(Relu(), [x], 0.05, -3, "relu")
    return builder


def test_results_are_in_place_where_the_operand_dies() -> None:
    plan = make_plan(one_relu().build(["relu_out"]), PORTABLE)
    assert plan.offsets["x"] == plan.offsets["relu_out"] and plan.arena_bytes == 8


def test_results_are_not_in_place_where_the_operand_is_an_output() -> None:
    plan = make_plan(one_relu().build(["relu_out", "x"]), PORTABLE)
    check_plan(plan)
    assert plan.arena_bytes == 16
    builder = one_relu()
    builder.quantized(Reshape((1, 2, 4)), ["x"], 0.1, 0, "view")
    plan = make_plan(builder.build(["relu_out", "view_out"]), PORTABLE)
    check_plan(plan)
    assert plan.offsets["view_out"] == plan.offsets["x"]


def test_results_are_not_in_place_where_the_operand_is_read_later() -> None:
    builder = one_relu()
    builder.quantized(Add(), ["relu_out", "x"], 0.2, 0, "add")
    plan = make_plan(builder.build(["add_out"]), PORTABLE)
    check_plan(plan)
    assert plan.offsets["x"] != plan.offsets["relu_out"]
    assert plan.offsets["add_out"] in (plan.offsets["x"], plan.offsets["relu_out"])


def test_nodes_without_readers_do_no_harm() -> None:
    builder = one_relu()
    builder.quantized(Relu(), ["relu_out"], 0.01, 0, "idle")
    plan = make_plan(builder.build(["relu_out"]), PORTABLE)
    check_plan(plan)


def test_an_arena_limit_makes_scratch_smaller() -> None:
    builder = GraphBuilder("conv")
    x = builder.input("x", int8((1, 8, 8, 16), 0.1, 0))
    w = builder.constant("w", np.ones((8, 3, 3, 16), np.int8), Quant.per_tensor(0.01, 0))
    graph = builder.build([builder.quantized(Conv2D(padding=(1, 1, 1, 1)), [x, w], 0.3, 0)])
    free, tight = make_plan(graph, PORTABLE), make_plan(graph, PORTABLE, arena_limit=1)
    assert free.scratch_bytes > tight.scratch_bytes == 0
    assert make_plan(graph, PORTABLE, arena_limit=free.arena_bytes).steps[0].kernel is free.steps[0].kernel
    assert free.steps[0].kernel is not tight.steps[0].kernel
    check_plan(tight)


def refused() -> dict[str, tuple[Graph, str]]:
    real = GraphBuilder("real")
    x = real.input("x", TensorType((1, 4), DType.FLOAT32))
    batch = one_relu((2, 8))
    views = GraphBuilder("views")
    view = views.quantized(Reshape((8,)), [views.input("x", int8((1, 8), 0.1, 0))], 0.1, 0)
    inside = GraphBuilder("inside")
    two = inside.quantized(Reshape((2, 2, 2, 1)), [inside.input("x", int8((1, 8), 0.1, 0))], 0.1, 0)
    constant = one_relu()
    c = constant.constant("c", np.zeros((1, 8), np.int8), Quant.per_tensor(0.1, 0))
    return {
        "float": (real.build([real.float(Relu(), [x])]), "float model"),
        "batch": (batch.build(["relu_out"]), "batch of 2"),
        "nothing": (views.build([view]), "computes nothing"),
        "batch inside": (inside.build([inside.quantized(Relu(), [two], 0.1, 0)]), "batch of 2 inside"),
        "constant": (constant.build(["relu_out", c]), "output 'c' is a constant"),
    }


@pytest.mark.parametrize("name", refused())
def test_refusals_say_why(name: str) -> None:
    graph, text = refused()[name]
    with pytest.raises(UnsupportedError, match=text):
        make_plan(graph, PORTABLE)
