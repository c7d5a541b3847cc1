"""Patches: the same codes as whole maps, from tiles that are not a row or a column too large."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import samples
from graphs import random_graph
from ratti import targets
from ratti.deploy import Deployment, deploy, outputs_of
from ratti.device.host import HostModel
from ratti.device.program import Program, Slot
from ratti.emit.c import emit
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.ir import Graph, Node, Value
from ratti.graph.passes import run_pipeline
from ratti.graph.passes._rewrite import rewrite
from ratti.graph.patches import cut, has_patches
from ratti.kernels import FEATURES
from ratti.ops.pad import Pad
from ratti.ops.slice import Slice
from ratti.plan import Plan, make_plan, make_plans
from ratti.plan.patches import Cut
from ratti.plan.planner import in_patches as plan_in_patches
from test_stream import chain, run_poisoned


def same(a: Graph, b: Graph, count: int = 2) -> bool:
    """True where two graphs give the same codes."""
    inputs = samples([a.type(n) for n in a.inputs], count)
    return all(
        np.array_equal(x, y)
        for row in inputs
        for x, y in zip(interpreter.run(a, row).values(), interpreter.run(b, row).values(), strict=True)
    )


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_chain_in_patches_means_the_same(size: int) -> None:
    graph = chain()
    for layers in range(1, len(graph.nodes)):
        made = cut(graph, graph.nodes[:layers], size)
        if has_patches(graph, graph.nodes[:layers]):
            assert made is not None and made[1] > 1 and same(graph, made[0]), layers
        else:
            assert made is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**9), st.integers(2, 16), st.integers(1, 4))
def test_random_graphs_in_patches_mean_the_same(seed: int, nodes: int, size: int) -> None:
    graph = run_pipeline(random_graph(seed, nodes))
    for begin in range(len(graph.nodes)):
        for end in range(len(graph.nodes), begin, -1):
            made = cut(graph, graph.nodes[begin:end], size)
            if made is not None:
                assert same(graph, made[0], 1)
                break


def test_a_row_or_column_less_of_any_patch_breaks_the_output() -> None:
    """Every tile of the input, with noise in place of its first or last row or column."""
    graph = chain(17, width=15)
    made = cut(graph, graph.nodes[:8], 4)
    assert made is not None
    tiles = [n for n in made[0].nodes if isinstance(n.op, Slice) and n.inputs == graph.inputs]
    assert len(tiles) == made[1]
    for tile in tiles:
        for short in without_an_edge(made[0], tile):
            assert not same(graph, short, 6), tile.name


def without_an_edge(graph: Graph, tile: Node) -> Iterator[Graph]:
    op, type = tile.op, graph.type(tile.outputs[0])
    assert isinstance(op, Slice)
    for axis in (1, 2):
        for at in (0, op.count[axis] - 1):
            begin, count, padding = list(op.begin), list(op.count), [(0, 0)] * 4
            begin[axis] += at == 0
            count[axis] -= 1
            padding[axis] = (int(at == 0), int(at > 0))
            less = Value("less", replace(type, shape=tuple(count)))
            nodes = (
                Node("less", replace(op, begin=tuple(begin), count=tuple(count)), tile.inputs, ("less",)),
                Node("fill", Pad(tuple(padding)), ("less",), tile.outputs),
            )
            where = graph.nodes.index(tile)
            yield rewrite(graph, [*graph.nodes[:where], *nodes, *graph.nodes[where + 1 :]], [less])


def in_patches(graph: Graph, features: str, layers: int, size: int) -> Plan:
    return plan_in_patches(graph, FEATURES[features], (), Cut(layers, size, 0, 1.0), 0)[-1]


@pytest.mark.toolchain
@pytest.mark.parametrize("features", ["portable", "armv6m", "armv7em"])
def test_patches_in_a_poisoned_arena(features: str) -> None:
    """Noise before each call: those of all patches together, and every step of every patch."""
    graph = chain(13, width=12)
    plan = in_patches(graph, features, 8, 3)
    assert plan.patches and plan.how.startswith("first to last in ")
    assert run_poisoned(plan, emit(plan), plan.graph)
    alone = replace(plan, patches=None)
    assert run_poisoned(alone, emit(alone), plan.graph)


@pytest.mark.slow
@pytest.mark.toolchain
def test_the_planner_cuts_only_where_streams_are_too_large(shared: Path) -> None:
    graph = run_pipeline(tflite.read(shared / "models" / "ic.tflite"))
    features = FEATURES["armv7em"]
    plans = make_plans(graph, features)
    sizes = [p.arena_bytes for p in plans]
    assert sizes == sorted(sizes, reverse=True)
    with_patches = [p for p in plans if p.patches]
    assert with_patches and plans[-1].arena_bytes < 17_500 < min(p.arena_bytes for p in plans if not p.patches)
    assert make_plan(graph, features, 19_500).patches is None
    plan = make_plan(graph, features, 17_500)
    assert plan.patches and plan.arena_bytes <= 17_500
    c = emit(plan, "ic")
    slots = [tuple(Slot(p.offset_bytes, p.type.bytes) for p in ports) for ports in (c.inputs, c.outputs)]
    inputs = samples([graph.type(n) for n in graph.inputs], 3)
    with HostModel(Program(c.files, c.entry, c.arena_bytes, *slots, c.steps), ("-O0",)) as host:
        for row in inputs:
            (want,) = interpreter.run(graph, row).values()
            assert (host.run(row)[0].view(np.int8) == want.ravel()).all()


@pytest.mark.toolchain
@pytest.mark.parametrize("target_id", ["stm32l4r5zi", "rp2040", "esp32c3", "ch32v003"])
def test_patches_on_emulated_cores(target_id: str) -> None:
    graph = chain(13, width=12)
    device = targets.load(target_id)
    plan = in_patches(graph, device.isa, 8, 3)
    inputs = samples([graph.type(n) for n in graph.inputs], 2)
    measured = deploy(graph, device.roomy(), inputs, "size", deployment=Deployment(plan, emit(plan)))
    assert measured.deployment.plan.patches and len(measured.measurement.steps) == len(plan.calls)
    for row, outputs in zip(inputs, outputs_of(measured), strict=True):
        for got, want in zip(outputs, interpreter.run(graph, row).values(), strict=True):
            np.testing.assert_array_equal(got, want)
