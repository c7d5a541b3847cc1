"""From codes to an answer in C: the same as the goal's own Python, for any codes."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from host import QUICK, WARNINGS
from ratti import models, targets
from ratti.data import goals
from ratti.data.goals import centroids, reconstruct
from ratti.device import cores, toolchain
from ratti.emit import answers
from ratti.graph.ir import Graph
from ratti.types import Array
from ratti.verbs.export import c_files, cpp_files

NETS = {"classify": "micro-1.0-8", "centroids": "fomo-0.35-64", "reconstruct": "autoencoder-0.1-64"}
SAMPLES = 200
MAIN = """#include <stdio.h>
#include "m_answer.h"
int main(void)
{{
    static int8_t in[{inputs}], out[{outputs}];
    while (fread(in, sizeof in, 1, stdin) == 1 && fread(out, sizeof out, 1, stdin) == 1) {{
        {body}
    }}
    return 0;
}}
"""


def known(goal: str, classes: tuple[str, ...] | None = None, settings: dict[str, float] | None = None) -> Graph:
    """A net of the kind whose metadata say what it is for."""
    graph = models.load(NETS[goal])
    names = classes or tuple(f"class {k}" for k in range(10 if goal == "classify" else _classes(graph, goal)))
    metadata = {answers.CLASSES: json.dumps(names), answers.GOAL: goal, answers.SETTINGS: json.dumps(settings or {})}
    return replace(graph, metadata=metadata)


def _classes(graph: Graph, goal: str) -> int:
    image, output = graph.type(graph.inputs[0]).shape, graph.type(graph.outputs[0])
    return output.elements // int(np.prod(centroids.grid(image[1:]))) if goal == "centroids" else 3


def said(graph: Graph, body: str, pairs: list[tuple[Array, Array]], folder: Path) -> list[list[str]]:
    """What C prints for each pair of codes (of the input, of the output)."""
    sizes = {"inputs": graph.type(graph.inputs[0]).bytes, "outputs": graph.type(graph.outputs[0]).bytes}
    files = {**answers.emit(graph, "m"), "main.c": MAIN.format(body=body, **sizes)}
    toolchain.write_sources(folder, files)
    flags = [*QUICK, *WARNINGS, "-fsanitize=undefined", "-fsanitize-trap=all"]
    built = toolchain.zig(["cc", *flags, "-o", "m", "main.c", "m_answer.c"], folder)
    assert built.returncode == 0, built.stderr
    data = b"".join(a.astype(np.int8).tobytes() + b.astype(np.int8).tobytes() for a, b in pairs)
    result = subprocess.run([folder / "m"], input=data, capture_output=True, check=True)
    return [line.split() for line in result.stdout.decode().splitlines()]


def codes(graph: Graph, rng: np.random.Generator, like: tuple[int, int] = (-128, 128)) -> list[tuple[Array, Array]]:
    sizes = [graph.type(n).bytes for n in (graph.inputs[0], graph.outputs[0])]
    return [(rng.integers(-128, 128, sizes[0]), rng.integers(*like, sizes[1])) for _ in range(SAMPLES)]


def test_every_goal_has_an_answer() -> None:
    assert set(goals.goals()) == set(NETS)
    for goal in NETS:
        assert set(answers.emit(known(goal), "m")) == {"m_answer.h", "m_answer.c"}


def test_a_model_of_which_nothing_is_known_has_none() -> None:
    graph = known("classify")
    for metadata in ({}, {"classes": "[1"}, {"classes": '["a", "b"]'}, {"classes": "3"},
                     {**graph.metadata, "goal": "poetry"}):
        assert answers.emit(replace(graph, metadata=metadata), "m") == {}


@pytest.mark.toolchain
def test_the_class(rng: np.random.Generator, tmp_path: Path) -> None:
    """Few different codes, so that there are ties; names that C could misread."""
    names = ('a "b"', "back\\slash", "नमस्ते", "??=", "tab\there", "5\x015", "f", "g", "h", "i")
    graph = known("classify", names)
    pairs = codes(graph, rng, (-3, 3))
    body = 'printf("%d %s|\\n", (int)m_class(out), m_class_names[m_class(out)]);'
    found = said(graph, body, pairs, tmp_path)
    want = [f"{k} {names[k]}|".split() for k in (int(out.argmax()) for _, out in pairs)]
    assert found == want and len({w[0] for w in want}) == 10


@pytest.mark.toolchain
@pytest.mark.parametrize("room", [64, 2])
def test_centers(room: int, rng: np.random.Generator, tmp_path: Path) -> None:
    """Mostly background, with objects that touch at corners and at the edges."""
    graph = known("centroids")
    shape, kinds = centroids.grid(graph.type(graph.inputs[0]).shape[1:]), _classes(graph, "centroids")
    pairs = codes(graph, rng)
    for k, (_, out) in enumerate(pairs):
        out.reshape(-1, kinds)[rng.random(shape[0] * shape[1]) < k / SAMPLES, 0] = 127
    body = f"""m_center c[{room}];
        const int32_t n = m_centers(out, c, {room});
        printf("%d", (int)n);
        for (int k = 0; k < n && k < {room}; ++k) printf(" %d %d %d", c[k].row, c[k].column, c[k].kind);
        printf("\\n");"""
    found = said(graph, body, pairs, tmp_path)
    want = []
    for _, out in pairs:
        points = centroids.decode(out, shape)
        flat = [v for r, c, kind in points[:room] for v in (int(r * 8 + 1e-6), int(c * 8 + 1e-6), kind)]
        want.append([str(v) for v in (len(points), *flat)])
    assert found == want and len({w[0] for w in want}) > 5


@pytest.mark.toolchain
def test_the_score_and_its_threshold(rng: np.random.Generator, tmp_path: Path) -> None:
    """The mean squared difference of real values to 4 digits, and the same alarms."""
    graph = known("reconstruct", settings={"threshold": 1.0})
    pairs = [(a, np.clip(a + rng.integers(-k, k + 1, a.shape), -128, 127))
             for k, (a, _) in enumerate(codes(graph, rng), start=1)]
    types = [graph.type(graph.outputs[0]), graph.type(graph.inputs[0])]
    assert types[0].quant is not None and types[1].quant is not None
    real = reconstruct.errors(types[0].quant.dequantize(np.array([b for _, b in pairs])),
                              types[1].quant.dequantize(np.array([a for a, _ in pairs])))
    limit = float(np.median(real))
    graph = known("reconstruct", settings={"threshold": limit})
    body = 'printf("%.17g %d\\n", (double)m_score(in, out) * M_SCORE_UNIT, m_score(in, out) > M_THRESHOLD);'
    found = said(graph, body, pairs, tmp_path)
    assert np.allclose([float(f[0]) for f in found], real, rtol=2e-4)
    clear = np.abs(real / limit - 1) > 2e-4
    assert clear.sum() > SAMPLES - 3
    assert [f[1] == "1" for f, c in zip(found, clear, strict=True) if c] == (real > limit)[clear].tolist()


@pytest.mark.toolchain
@pytest.mark.parametrize("goal", NETS)
def test_it_compiles_for_the_smallest_part(goal: str, tmp_path: Path) -> None:
    part = targets.load("ch32v003")
    toolchain.write_sources(tmp_path, answers.emit(known(goal, settings={"threshold": 0.5}), "m"))
    flags = [*cores.load(part.core).compiler_flags, "-std=c99", "-ffreestanding", *WARNINGS, "-c", "m_answer.c"]
    built = toolchain.zig(["cc", *flags], tmp_path)
    assert built.returncode == 0, built.stderr


def test_it_comes_with_c_and_cpp() -> None:
    graph = known("classify")
    for files in (c_files(graph, "portable"), cpp_files(graph, "portable")):
        assert any(name.endswith("_answer.c") for name in files)
