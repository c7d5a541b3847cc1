"""Emitted C: the same bytes every time, no warnings, usable from C++, free of floats, heap and static data."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import host
from cases import samples, together, trials
from graphs import random_graph
from ratti.device import toolchain
from ratti.device.host import build_executable
from ratti.emit import c_test
from ratti.emit.c import CSources, emit
from ratti.formats import tflite
from ratti.graph import interpreter
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.graph.passes import run_pipeline
from ratti.kernels import FEATURES
from ratti.ops.base import int8
from ratti.ops.relu import Relu
from ratti.ops.slice import Slice
from ratti.plan import make_plan

SETS = ("portable", "armv6m", "armv7em", "rv32ec")
COMPILERS = {
    "zig": ("zig", "cc", "-std=c99", "-O0", *host.WARNINGS),  # clang warns before it optimizes
    "gcc": ("gcc", "-std=c99", "-O2", *host.WARNINGS),
    "gcc-pedantic": ("gcc", "-std=c99", "-fsyntax-only", "-pedantic", *host.WARNINGS),
    "gcc-c11": ("gcc", "-std=c11", "-fsyntax-only", *host.WARNINGS),
}


@cache
def every_case(features: str) -> CSources:
    """One model with a node for every case and kernel."""
    graph, kernels = together("every", trials(features))
    return emit(make_plan(graph, FEATURES[features], kernels=kernels), "every")


def emit_graph(graph: Graph, features: str = "portable", name: str | None = None) -> CSources:
    return emit(make_plan(run_pipeline(graph), FEATURES[features]), name)


@pytest.mark.parametrize("features", SETS)
@pytest.mark.parametrize("model", ["kws", "ic"])
def test_two_emits_are_the_same_bytes(model: str, features: str, shared: Path) -> None:
    path = shared / "models" / f"{model}.tflite"
    first, second = (emit_graph(tflite.read(path), features) for _ in range(2))
    assert first.files == second.files
    assert set(first.files) == {f"{model}.c", f"{model}.h"} and first.entry == f"{model}_run"
    assert len(first.steps) == len(first.functions) == len(set(first.steps))


@pytest.mark.toolchain
@pytest.mark.parametrize("features", ["portable", "armv6m", "armv7em"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_every_kernel_compiles_without_a_warning(
    compiler: str, features: str, system_compiler: Callable[[str], str]
) -> None:
    command = COMPILERS[compiler]
    if command[0] != "zig":
        system_compiler(command[0])
    assert host.compiler_says(every_case(features).files, command) == ""


@pytest.mark.toolchain
@pytest.mark.parametrize("features", ["portable", "armv7em"])
@pytest.mark.parametrize("model", ["kws", "ic"])
def test_real_models_run_as_emitted(model: str, features: str, shared: Path) -> None:
    graph = run_pipeline(tflite.read(shared / "models" / f"{model}.tflite"))
    c = emit_graph(graph, features)
    program = build_executable({**c.files, "main.c": host.arena_main(model, c)}, "undefined", ("-std=c99", "-O1"))
    inputs = samples([graph.type(n) for n in graph.inputs], 15)
    (want,) = interpreter.run_batch(graph, [np.concatenate([x[0] for x in inputs])])
    for noise in (0xA5, 0x5A):
        np.testing.assert_array_equal(host.run(program, inputs, want.shape[1], noise), want)
    assert len(np.unique(want, axis=0)) > 10


@pytest.mark.toolchain
def test_the_header_serves_cpp(system_compiler: Callable[[str], str]) -> None:
    c = emit_graph(random_graph(5, 8), name="net")
    lines = [
        '#include "net.h"',
        '#include "net.h"',
        'static_assert(NET_ARENA_BYTES > 0, "sizes are constants");',
        "alignas(4) static int8_t arena[NET_ARENA_BYTES];",
        "int use() { net_run(arena); return arena[NET_INPUT_X0_OFFSET]; }",
    ]
    files = {"net.h": c.files["net.h"], "use.cpp": "\n".join(lines) + "\n"}
    flags = ("-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-O1")
    assert host.compiler_says(files, ("zig", "c++", *flags)) == ""
    assert host.compiler_says(files, (system_compiler("g++"), *flags)) == ""


@pytest.mark.toolchain
def test_test_vectors_pass_and_can_fail() -> None:
    graph = run_pipeline(random_graph(9, 10, "net"))
    c = emit_graph(graph)
    inputs = samples([graph.type(n) for n in graph.inputs], 3)
    outputs = [[r[n] for n in graph.outputs] for r in (interpreter.run(graph, x) for x in inputs)]
    text = c_test.emit(c, "net", inputs, outputs)
    good = build_executable({**c.files, **text}, None, ("-std=c99", *host.WARNINGS))
    assert host.compiler_says({**c.files, **text}, COMPILERS["zig"]) == ""
    assert host.finishes(good) == (0, f"{len(inputs)} vectors equal\n")
    outputs[1][0] = outputs[1][0] ^ 1
    bad = build_executable({**c.files, **c_test.emit(c, "net", inputs, outputs)}, None, ("-std=c99",))
    code, said = host.finishes(bad)
    assert code == 1 and "vector 1" in said and "FAILED" in said


@pytest.mark.toolchain
@pytest.mark.parametrize("features", ["portable", "armv7em"])
def test_objects_hold_one_public_function_and_no_memory(features: str, tmp_path: Path) -> None:
    from elftools.elf.elffile import ELFFile

    files = every_case(features).files
    toolchain.write_sources(tmp_path, files)
    target = (
        ("-target", "thumb-freestanding-eabihf", "-mcpu=cortex_m4", "-fno-unwind-tables")
        if features == "armv7em"
        else ()
    )
    result = toolchain.zig(["cc", *target, "-ffreestanding", "-O1", "-c", "every.c", "-o", "every.o"], tmp_path)
    assert result.returncode == 0, result.stderr
    with (tmp_path / "every.o").open("rb") as file:
        elf = ELFFile(file)
        sizes = {s.name: s["sh_size"] for s in elf.iter_sections()}
        symbols = [s for s in elf.get_section_by_name(".symtab").iter_symbols() if s["st_info"]["bind"] == "STB_GLOBAL"]
    defined = {s.name for s in symbols if s["st_shndx"] != "SHN_UNDEF"}
    needed = {s.name.removeprefix("__aeabi_") for s in symbols if s["st_shndx"] == "SHN_UNDEF"}
    assert defined == {"every_run"}
    assert needed <= {"memcpy", "memmove", "memset", "memcpy4", "memmove4", "memclr", "memclr4"}
    assert not any(size for name, size in sizes.items() if name.startswith((".data", ".bss")) and "rel.ro" not in name)


@pytest.mark.parametrize("features", SETS)
def test_sources_use_no_floats_and_short_lines(features: str) -> None:
    text = every_case(features).files["every.c"]
    assert [line for line in text.splitlines() if len(line) > 120] == []
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    assert not re.search(r"\b(float|double|malloc|calloc|realloc|free|printf)\b", code)
    assert "#include <math.h>" not in code


def test_equal_layers_share_functions_and_tables() -> None:
    b = GraphBuilder("twins")
    x = b.input("x", int8((1, 16), 0.1, 0))
    for _ in range(3):
        x = b.quantized(Relu(), [x], 0.1, 0)
    c = emit_graph(b.build([x]))
    assert len(c.steps) == 3 and len(set(c.functions)) == 1
    assert c.files["twins.c"].count("static RATTI_NOINLINE") == 1
    assert len(re.findall(r"^static const int8_t \w+\[256\]", c.files["twins.c"], re.M)) == 1


@pytest.mark.parametrize(("apart", "functions"), [(False, 2), (True, 1)])
def test_moves_of_the_same_shapes_have_functions_of_their_own(apart: bool, functions: int) -> None:
    """The compiler builds counts and steps in; where weights lie apart it cannot."""
    b = GraphBuilder("halves")
    x = b.input("x", int8((1, 4, 4, 8), 0.1, 0))
    ends = [b.quantized(Slice((0, 0, 0, k), (1, 4, 4, 4), (1, 1, 1, 1)), [x], 0.1, 0) for k in (0, 4, 0)]
    c = emit(make_plan(b.build(ends), FEATURES["portable"]), apart=apart)
    assert len(c.functions) == 3 and len(set(c.functions)) == functions
    assert ("const ratti_move_box *boxes" in c.files["halves.c"].split("/* One function")[1]) == apart


def test_names_are_c_identifiers() -> None:
    b = GraphBuilder("2 odd-names/é")
    graph = b.build([b.quantized(Relu(), [b.input("int", int8((1, 4), 0.1, 0))], 0.1, 0, "a.b:c")])
    c = emit_graph(graph)
    assert c.entry == "n_2_odd_names_run" and c.steps == ("a_b_c",)
    assert set(c.files) == {"n_2_odd_names.c", "n_2_odd_names.h"}


def test_headers_tell_where_data_lie() -> None:
    graph = run_pipeline(random_graph(4, 6, "net"))
    plan = make_plan(graph, FEATURES["portable"])
    text = emit(plan).files["net.h"]
    assert f"#define NET_ARENA_BYTES {plan.arena_bytes}\n" in text
    for kind, names in (("INPUT", graph.inputs), ("OUTPUT", graph.outputs)):
        for name in names:
            macro = f"NET_{kind}" + (f"_{name.upper()}" if len(names) > 1 else "")
            type = graph.type(name)
            assert f"#define {macro}_OFFSET {plan.offsets[name]}\n" in text
            assert f"#define {macro}_BYTES {type.bytes}\n" in text
            assert f"#define {macro}_ZERO_POINT ({type.zero_point})\n" in text
            scale = re.search(rf"#define {macro}_SCALE (\S+)f\n", text)
            assert scale is not None and np.float32(scale[1]) == np.float32(type.scale)
