"""The C++17 class: no warnings, no heap, constant sizes; every case through it equals the interpreter."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import host
from cases import samples, together, trials
from graphs import random_graph
from ratti.deploy import prepare
from ratti.device import host_cpp
from ratti.device.host import HostModel, build_library
from ratti.device.program import Program
from ratti.emit import c, cpp, cpp_test
from ratti.errors import InputError
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.kernels import FEATURES
from ratti.ops.base import Case, int8
from ratti.ops.relu import Relu
from ratti.plan import make_plan
from ratti.types import DType
from ratti.verbs.export import export
from ratti.verbs.verify import verify

STANDARD = ("-std=c++17", "-fno-exceptions", "-fno-rtti")
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Wold-style-cast")
COMPILERS = {"zig": ("zig", "c++"), "g++": ("g++",)}


def assert_equal(graph: Graph, program: Program, count: int = 8) -> None:
    """On every sample, one after the other in the same arena; names what differs."""
    differ = set()
    with HostModel(program, ("-O0",)) as model:
        for x in samples([graph.type(n) for n in graph.inputs], count):
            want = interpreter.run(graph, x)
            got = model.run(x)
            assert len(got) == len(graph.outputs)
            differ |= {n for n, y in zip(graph.outputs, got, strict=True) if (y.view(np.int8) != want[n].ravel()).any()}
    assert differ == set()


@cache
def small() -> tuple[Graph, c.CSources]:
    b = GraphBuilder("net")
    graph = b.build([b.quantized(Relu(), [b.input("x", int8((1, 2, 4), 0.37, -11))], 0.1, 0)])
    return graph, prepare(graph, "portable").sources


def _is_int8(case: Case) -> bool:
    """Whether the class takes and gives its codes; int16 and int32 ports are refused in words."""
    ports = [*(o.type for o in case.operands if o.data is None), *case.outputs]
    return all(t.dtype is DType.INT8 for t in ports)


@pytest.mark.toolchain
def test_every_case() -> None:
    takes = [t for t in trials("portable") if _is_int8(t.case)]
    graph, kernels = together("every", takes)
    sources = c.emit(make_plan(graph, FEATURES["portable"], kernels=kernels), "every")
    assert_equal(graph, host_cpp.program(sources, "every"))


@pytest.mark.toolchain
@pytest.mark.parametrize("seed", [3, 4])
def test_random_graphs(seed: int) -> None:
    graph = random_graph(seed, 14)
    assert_equal(graph, host_cpp.program(prepare(graph, "portable").sources, graph.name))


@pytest.mark.toolchain
@pytest.mark.parametrize("model", ["kws", "ic"])
def test_real_models(model: str, shared: Path) -> None:
    result = verify(shared / "models" / f"{model}.tflite", runtimes=["host:cpp"], count=20)
    assert [(r.where, r.differ) for r in result.rows] == [("interpreter", 0), ("host:cpp", 0)]
    assert result.distinct > 10 and result.passes


@pytest.mark.toolchain
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("seed", [None, 5])
def test_header_and_test_compile_without_a_warning(
    compiler: str, seed: int | None, system_compiler: Callable[[str], str]
) -> None:
    graph = small()[0] if seed is None else random_graph(seed, 8, "net")
    sources = prepare(graph, "portable").sources
    x = samples([graph.type(n) for n in graph.inputs], 0)
    y = [list(interpreter.run(graph, row).values()) for row in x]
    files = {"net.h": sources.files["net.h"], **cpp.emit(sources, "net"), **cpp_test.emit(sources, "net", x, y)}
    command = COMPILERS[compiler]
    if compiler != "zig":
        system_compiler(compiler)
    assert host.compiler_says(files, (*command, *STANDARD, *WARNINGS, "-Werror")) == ""


@pytest.mark.toolchain
def test_exported_test_passes_and_can_fail(tmp_path: Path, system_compiler: Callable[[str], str]) -> None:
    paths = export(random_graph(9, 10, "net"), ["cpp"], tmp_path)
    assert [p.name for p in paths] == ["net.c", "net.h", "net.hpp", "net_test.cpp"]
    text = (tmp_path / "net_test.cpp").read_text()
    (command,) = re.findall(r"^   (cc .*) \*/$", text, re.M)  # what the file itself says
    command = command.replace("cc ", f"{system_compiler('gcc')} ", 1).replace("c++ ", f"{system_compiler('g++')} ", 1)
    good = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (good.returncode, good.stdout, good.stderr) == (0, "8 vectors equal\n", "")
    head, numbers = text.split("output_0[", 1)
    first = int(re.search(r"\{\s*(-?\d+),", numbers)[1])
    changed = re.sub(r"\{(\s*)-?\d+,", rf"{{\g<1>{-1 - first},", numbers, count=1)
    (tmp_path / "net_test.cpp").write_text(f"{head}output_0[{changed}")
    bad = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bad.returncode == 1 and "vector 0" in bad.stdout and "FAILED" in bad.stdout


@pytest.mark.toolchain
def test_sizes_and_codes_are_constants(system_compiler: Callable[[str], str]) -> None:
    _, sources = small()
    lines = [
        '#include "net.hpp"',
        '#include "net.hpp"',
        "namespace net = ratti::net;",
        "static_assert(net::Input::shape.size() == 3 && net::Input::shape[2] == 4 && net::Input::size == 8);",
        "static_assert(net::Output::size == 8 && net::Output::zero_point == 0);",
        f"static_assert(net::arena_bytes == {sources.arena_bytes} && sizeof(net::Model) == net::arena_bytes);",
        "static_assert(alignof(net::Model) >= 4);",
        "static_assert(net::Input::quantize(0.0f) == -11 && net::Input::quantize(1e30f) == 127);",
        "static_assert(net::Input::quantize(-1e30f) == -128 && net::Input::dequantize(-10) == net::Input::scale);",
        "static std::array<std::int8_t, ratti::net::arena_bytes> arena;",
        "int use()",
        "{",
        "    for (auto &code : ratti::net::Input::codes(arena.data())) { code = 1; }",
        "    ratti::net::run(arena.data());",
        "    return ratti::net::Output::codes(arena.data())[0];",
        "}",
    ]
    files = {"net.h": sources.files["net.h"], **cpp.emit(sources, "net"), "use.cpp": "\n".join(lines) + "\n"}
    for command in (("zig", "c++"), (system_compiler("g++"),)):
        assert host.compiler_says(files, (*command, *STANDARD, *WARNINGS, "-Werror")) == ""


@pytest.mark.toolchain
def test_codes_of_reals_are_rounded_as_in_tflite(rng: np.random.Generator) -> None:
    graph, sources = small()
    type = graph.type(graph.inputs[0])
    text = (
        '#include "net.hpp"\nextern "C" void quantize(const float *x, std::int8_t *y, int n)\n'
        "{\n    for (int i = 0; i < n; ++i) { y[i] = ratti::net::Input::quantize(x[i]); }\n}\n"
    )
    library = ctypes.CDLL(str(build_library({**sources.files, **cpp.emit(sources, "net"), "quantize.cpp": text})))
    ties = np.float32(type.scale) * np.arange(-260, 260, 0.5, np.float32)
    reals = np.concatenate([ties, rng.normal(0, 30, 500), [1e30, -1e30, np.inf, -np.inf, 0.0]]).astype(np.float32)
    codes = np.zeros(len(reals), np.int8)
    library.quantize(ctypes.c_void_p(reals.ctypes.data), ctypes.c_void_p(codes.ctypes.data), len(reals))
    scaled = (reals / np.float32(type.scale)).astype(np.float64)
    want = np.clip(np.trunc(scaled + np.copysign(0.5, scaled)) + type.zero_point, -128, 127)
    np.testing.assert_array_equal(codes, want)


def test_header_uses_no_heap_and_no_streams() -> None:
    code = re.sub(r"/\*.*?\*/", "", cpp.emit(small()[1], "net")["net.hpp"], flags=re.S)
    assert set(re.findall(r"#include (\S+)", code)) == {"<array>", "<cstddef>", "<cstdint>", '"net.h"'}
    assert not re.search(r"\b(new|delete|malloc|throw|virtual|double)\b", code)


def test_names_that_cpp_keeps_are_refused(tmp_path: Path) -> None:
    for name in ("new", "std"):
        with pytest.raises(InputError, match=f"'{name}' means something else to C"):
            export(small()[0], ["c", "cpp"], tmp_path, name=name)
    assert not list(tmp_path.iterdir())
