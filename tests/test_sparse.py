"""Weights that are mostly zeros: how they are stored, when they are, and what they save."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ratti.deploy import prepare
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.kernels import FEATURES, Work, candidates, lean_features
from ratti.kernels.conv.sparse import compressed
from ratti.ops.conv2d import Conv2D
from ratti.types import Array, DType, Quant, TensorType
from ratti.verbs.check import Limits, check

ROOT = Path(__file__).parents[1]


def layers(zeros: float, count: int = 1, kernel: int = 1, side: int = 6, narrow: int = 64) -> Graph:
    """Layers to 64 channels, every second one to `narrow`."""
    rng = np.random.default_rng(3)
    builder = GraphBuilder("layers")
    x = builder.input("x", TensorType((1, side, side, narrow), DType.INT8, Quant.per_tensor(0.05, -128)))
    for k in range(count):
        inputs, outputs = (narrow, 64) if k % 2 == 0 else (64, narrow)
        shape = (outputs, kernel, kernel, inputs)
        codes = np.where(rng.random(shape) < zeros, 0, rng.integers(-127, 128, shape))
        scales = Quant.per_channel(np.full(outputs, 0.01, np.float32), 0)
        w = builder.constant(f"w{k}", codes.astype(np.int8), scales)
        pad = kernel // 2
        x = builder.quantized(Conv2D(padding=(pad, pad, pad, pad)), [x, w], 0.3 * kernel, -5, f"layer_{k}")
    return builder.build([x])


def expanded(stream: Array, counts: Array, depth: int) -> Array:
    """(O, depth) int8 from what the kernel reads."""
    found, at = np.zeros((len(counts), depth), np.int8), 0
    for o, count in enumerate(counts):
        place = 0
        for steps, *weights in stream[3 * at : 3 * (at + count)].reshape(-1, 3):
            for step, weight in zip((steps & 15, steps >> 4), np.array(weights, np.uint8).view(np.int8), strict=True):
                place += int(step)
                found[o, place] = weight if weight else found[o, place]
        at += count
    return found


@pytest.mark.parametrize("zeros", [0.5, 0.8, 0.97])
def test_what_is_stored_is_what_was_there(zeros: float) -> None:
    graph = layers(zeros)
    work = Work.of(graph, graph.nodes[0], FEATURES["rv32imc"])
    stream, counts = compressed(work)
    weights = graph.values["w0"].data
    assert weights is not None
    np.testing.assert_array_equal(expanded(stream, counts, 64), weights.reshape(64, 64))
    assert stream.size + 2 * counts.size < weights.size


def test_the_planner_takes_it_where_it_pays() -> None:
    def chosen(zeros: float, features: frozenset[str]) -> str:
        graph = layers(zeros)
        return candidates(Work.of(graph, graph.nodes[0], features))[0].name

    m4, rv32 = FEATURES["armv7em"], FEATURES["rv32imc"]
    assert chosen(0.0, rv32) == "conv_scalar" and chosen(0.8, rv32) == "conv_sparse"
    assert chosen(0.6, m4) == "conv_dsp" and chosen(0.6, lean_features(m4)) == "conv_sparse"
    assert chosen(0.9, m4) == "conv_sparse" and chosen(0.0, lean_features(m4)) == "conv_dsp"


@pytest.mark.toolchain
def test_flash_that_is_short_takes_the_compressed_form() -> None:
    graph = layers(0.6, count=4)
    fast, small = check(graph, "stm32f446re"), check(graph, "stm32f446re", optimize="size")
    assert {y.kernel for y in fast.layers} == {"conv_dsp"} and {y.kernel for y in small.layers} == {"conv_sparse"}
    assert fast.instructions is not None and small.instructions is not None
    assert small.flash["weights"] < 0.7 * fast.flash["weights"] == 0.7 * 4 * 64 * 64
    assert small.flash["weights"] + small.flash["code"] == small.flash["total"]
    assert sum(y.weights for y in small.layers) == small.flash["weights"]
    tight = check(graph, "stm32f446re", Limits(flash_bytes=fast.flash["total"] - 1000))
    kernels = [y.kernel for y in tight.layers]
    assert tight.fits and "conv_sparse" in kernels and "conv_dsp" in kernels


def test_weights_that_are_replaced_apart_stay_dense() -> None:
    zeros = prepare(layers(0.9), "rv32imc", weights_apart=True)
    assert {s.kernel.name for s in zeros.plan.steps} == {"conv_scalar"}
    assert {s.kernel.name for s in prepare(layers(0.9), "rv32imc").plan.steps} == {"conv_sparse"}


@pytest.mark.toolchain
@pytest.mark.parametrize("target", ["esp32c3", "rp2040"])
def test_streams_of_sparse_layers_equal_the_interpreter(target: str) -> None:
    """`check` compares the firmware's codes with the interpreter's."""
    graph = layers(0.8, count=2, kernel=3, side=12, narrow=8)
    whole = check(graph, target)
    assert {y.kernel for y in whole.layers} == {"conv_sparse"}
    room = (whole.ram["total"] or 0) * 2 // 3
    bands = check(graph, target, Limits(ram_bytes=room))
    assert bands.fits and any("bands" in y.kernel for y in bands.layers)


@pytest.mark.toolchain
def test_the_table_in_the_docs_is_what_is_measured() -> None:
    script = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "sparse.py")))
    text = (ROOT / "docs" / "compress.md").read_text(encoding="utf-8")
    rows = [script.row(name, target, 0.8) for name in script.LAYERS for target in ("stm32f446re", "ch32v003")]
    for line in script.table(rows).splitlines()[2:]:
        assert line in text
