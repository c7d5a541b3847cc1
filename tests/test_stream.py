"""Streams: the same codes as layer by layer, from windows that are not a row too large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import host
from cases import samples
from graphs import random_graph
from ratti.device.host import build_executable
from ratti.emit.c import CSources, emit
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.graph.passes import run_pipeline
from ratti.kernels import FEATURES
from ratti.ops.add import Add
from ratti.ops.average_pool2d import AveragePool2D
from ratti.ops.base import int8
from ratti.ops.conv2d import Conv2D
from ratti.ops.depthwise_conv2d import DepthwiseConv2D
from ratti.ops.mean import Mean
from ratti.plan import Plan, make_plan
from ratti.plan.layers import Layers
from ratti.plan.layout import Unit, lay_out
from ratti.plan.planner import fronts, make_layers
from ratti.plan.stream import make_bands
from ratti.types import Quant


def chain(height: int = 13, pool: type = AveragePool2D, width: int = 6) -> Graph:
    """A small net with every kind of row: padding, strides, planes, a branch that is added, and a mean of the rest."""
    rng = np.random.default_rng(3)
    b = GraphBuilder("chain")
    x = b.input("x", int8((1, height, width, 3), 0.05, 3))

    def conv(x: str, outputs: int, kernel: int, stride: int, name: str) -> str:
        data = rng.integers(-127, 128, (outputs, kernel, kernel, b.shape(x)[3])).astype(np.int8)
        weights = b.constant(f"{name}_w", data, Quant.per_channel(rng.uniform(0.001, 0.004, outputs), 0))
        pad = (kernel - 1) // 2
        return b.quantized(Conv2D((stride, stride), (pad,) * 4), [x, weights], 0.05, -5, name)

    def depthwise(x: str, name: str) -> str:
        channels = b.shape(x)[3]
        data = rng.integers(-127, 128, (1, 3, 3, channels)).astype(np.int8)
        weights = b.constant(f"{name}_w", data, Quant.per_channel(rng.uniform(0.002, 0.01, channels), 3))
        return b.quantized(DepthwiseConv2D((1, 1), (1, 1, 1, 1)), [x, weights], 0.05, 7, name)

    x = conv(x, 8, 3, 1, "first")
    y = conv(depthwise(x, "planes"), 8, 1, 1, "pointwise")
    x = b.quantized(Add(), [x, conv(y, 8, 3, 1, "second")], 0.07, -2, "sum")
    x = conv(depthwise(conv(x, 12, 3, 2, "strided"), "small"), 12, 1, 1, "last")
    _, h, w, _ = b.shape(x)
    op = AveragePool2D((h, w)) if pool is AveragePool2D else Mean((1, 2))
    return b.build([b.quantized(op, [x], 0.05, -5, "pool")])


def run_poisoned(plan: Plan, c: CSources, graph: Graph, count: int = 4) -> bool:
    """True where the outputs equal the interpreter's, with noise in all that is not needed, before every call."""
    name = plan.graph.name
    body: list[str] = []
    calls = host.calls(name, c)
    inside = [{s.output for s in steps[:-1]} if stream else set() for stream, steps in plan.calls]
    for u, (function, arguments) in enumerate(calls):
        done = {s.output for _, steps in plan.calls[:u] for s in steps} | set(graph.inputs)
        hidden = set().union(*inside[:u]) if u else set()
        later = {n for _, steps in plan.calls[u:] for s in steps for n in s.inputs} | set(graph.outputs)
        views = {n.outputs[0]: n.inputs[0] for n in graph.nodes if n.op.name == "reshape"}
        known = {v for v in later if _root(v, views) in done}
        keep = sorted({(plan.offsets[v], plan.offsets[v] + graph.type(v).bytes) for v in known})
        assert not {_root(v, views) for v in known} & (hidden - _whole(plan))
        at = 0
        for begin, end in [*keep, (plan.arena_bytes, plan.arena_bytes)]:
            if begin > at:
                body.append(f"        noise(arena + {at}, {begin - at});")
            at = max(at, end)
        body.append(f"        {function}({arguments});")
    reads = [f"        if (fread(arena + {p.offset_bytes}, {p.type.bytes}, 1, stdin) != 1) return 1;" for p in c.inputs]
    writes = [f"        fwrite(arena + {p.offset_bytes}, {p.type.bytes}, 1, stdout);" for p in c.outputs]
    main = "\n".join(
        [
            "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n" + c.files[f"{name}.c"],
            "static void noise(int8_t *p, int n)\n{\n    while (n--) *p++ = (int8_t)rand();\n}",
            "int main(int argc, char **argv)\n{",
            f"    int8_t *arena = malloc({plan.arena_bytes});",
            "    int sample, samples = argc > 2 ? atoi(argv[1]) : 0;",
            "    for (sample = 0; sample < samples; ++sample) {",
            *reads, *body, *writes, "    }\n    return 0;\n}\n",
        ]
    )
    program = build_executable({f"{name}.h": c.files[f"{name}.h"], "main.c": main}, "undefined", host.QUICK)
    inputs = samples([graph.type(n) for n in graph.inputs], count)
    want = [np.concatenate([a.ravel() for a in interpreter.run(graph, x).values()]) for x in inputs]
    return bool((host.run(program, inputs, len(want[0]), 0) == want).all())


def _root(name: str, views: dict[str, str]) -> str:
    while name in views:
        name = views[name]
    return name


def _whole(plan: Plan) -> set[str]:
    return {s.output for s in plan.steps} - {n for stream in plan.streams for n in stream.windows}


def cut(layers: Layers, rng: np.random.Generator) -> list[Unit]:
    """Layers cut into streams at random, as many as can be."""
    units: list[Unit] = []
    at = 0
    while at < len(layers.items):
        ends = rng.permutation(np.arange(at + 1, min(at + 9, len(layers.items)) + 1))
        found = (make_bands(layers, at, int(end), int(rng.integers(1, 4))) for end in ends)
        bands = next((b for b in found if b is not None), None)
        units.append(Unit(at, bands.end if bands else at + 1, bands))
        at = units[-1].end
    return units


@pytest.mark.toolchain
@pytest.mark.parametrize("features", ["portable", "armv6m", "armv7em"])
@pytest.mark.parametrize("pool", [AveragePool2D, Mean])
def test_a_chain_streams_at_every_height(features: str, pool: type) -> None:
    graph = chain(13, pool)
    layers = make_layers(graph, FEATURES[features], {})
    for height in (1, 2, 3):
        bands = make_bands(layers, 0, len(layers.items), height)
        assert bands is not None
        plan = lay_out(layers, [Unit(0, len(layers.items), bands)])
        assert run_poisoned(plan, emit(plan), graph), height


@pytest.mark.toolchain
@pytest.mark.parametrize("seed", range(4))
def test_random_graphs_stream(seed: int) -> None:
    graph = run_pipeline(random_graph(seed + 50, 30))
    layers = make_layers(graph, FEATURES[("portable", "armv7em")[seed % 2]], {})
    plan = lay_out(layers, cut(layers, np.random.default_rng(seed)))
    assert plan.streams
    assert run_poisoned(plan, emit(plan), graph)


@pytest.mark.toolchain
@pytest.mark.parametrize("seed", range(2))
def test_random_graphs_layer_by_layer(seed: int) -> None:
    graph = run_pipeline(random_graph(seed + 60, 30))
    plan = make_plan(graph, FEATURES[("portable", "armv7em")[seed % 2]])
    assert run_poisoned(plan, emit(plan), graph)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9), st.integers(2, 20), st.integers(0, 10**9))
@example(622663, 20, 1)  # a whole value of which the stream itself reads the first rows alone
def test_streams_compute_every_row_once(seed: int, nodes: int, cuts: int) -> None:
    graph = run_pipeline(random_graph(seed, nodes))
    if all(n.op.name == "reshape" for n in graph.nodes):
        return
    layers = make_layers(graph, FEATURES["armv7em"], {})
    for unit in cut(layers, np.random.default_rng(cuts)):
        bands = unit.bands
        for k, ends in enumerate(bands.ends if bands else ()):
            assert bands is not None and ends[0] == 0 and list(ends) == sorted(ends)
            layer = layers.items[unit.begin + k]
            if layer.output in bands.whole:
                assert ends[-1] == bands.kernels[k].rows(layer.work)
            reach = bands.kernels[k].reach(layer.work)
            assert reach is not None
            for _, _, root in layers.reads[unit.begin + k]:
                if root not in bands.homes:
                    continue
                producer = next(i for i, x in enumerate(layers.items[unit.begin :]) if x.output == root)
                height, done, first = layers.graph.type(root).shape[1], bands.ends[producer], bands.first[root]
                for b, (begin, end) in enumerate(pairwise(ends)):
                    if begin < end:  # what is read has been computed, and is still in its window
                        assert min(reach.end(end), height) <= done[b + 1]
                        assert max(reach.first(begin), 0) >= min(first[b], done[b + 1])


@pytest.mark.toolchain
def test_one_row_less_in_a_window_breaks_the_output() -> None:
    """Every window that slides is as small as it can be: the values behind it lie on its last row."""
    graph = chain()
    layers = make_layers(graph, FEATURES["portable"], {})
    bands = make_bands(layers, 0, len(layers.items), 1)
    assert bands is not None
    sizes = dict(bands.bytes)
    for name in sorted(bands.slides):
        row = graph.type(name).bytes // graph.type(name).shape[1]
        short = replace(bands, bytes={**sizes, name: sizes[name] - row})
        plan = lay_out(layers, [Unit(0, len(layers.items), short)])
        assert not run_poisoned(plan, emit(plan), graph), name


@pytest.mark.toolchain
@pytest.mark.parametrize(("model", "limit"), [("kws", 6_250), ("ic", 24_000)])
def test_real_models_stream_into_little(model: str, limit: int, shared: Path) -> None:
    graph = run_pipeline(tflite.read(shared / "models" / f"{model}.tflite"))
    plan = make_plan(graph, FEATURES["armv7em"], limit)
    assert plan.streams and plan.arena_bytes <= limit
    c = emit(plan, model)
    program = build_executable({**c.files, "main.c": host.arena_main(model, c)}, "undefined", ("-std=c99", "-O1"))
    inputs = samples([graph.type(n) for n in graph.inputs], 6)
    (want,) = interpreter.run_batch(graph, [np.concatenate([x[0] for x in inputs])])
    np.testing.assert_array_equal(host.run(program, inputs, want[0].size, 0x5A), want.reshape(len(want), -1))
    assert not make_plan(graph, FEATURES["armv7em"], limit, streaming=False).streams


def test_the_front_runs_from_small_to_fast(shared: Path) -> None:
    graph = run_pipeline(tflite.read(shared / "models" / "kws.tflite"))
    layers = make_layers(graph, FEATURES["armv7em"], {})
    sizes = _sizes(layers)
    assert sizes == sorted(sizes) and sizes[0] < 5_000 and sizes[-1] > 8_000


def _sizes(layers: Layers) -> Sequence[int]:
    return [lay_out(layers, units).arena_bytes for _, units in fronts(layers)]
