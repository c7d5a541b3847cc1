"""`ratti export --project`: what installs from packages builds and runs; of the rest files and C are checked."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

import toys
from ratti import nets, targets
from ratti.cli import main
from ratti.deploy import prepare
from ratti.device import emulator, linux, toolchain
from ratti.device.program import Program, Slot
from ratti.emit import projects
from ratti.errors import InputError
from ratti.graph.ir import Graph
from ratti.verbs import export as verb

EQUAL = "toy: the test vector is equal\n"
NOT_BUILT = ("esp-idf", "zephyr", "platformio")  # their tools download more than packages: their C alone is compiled
every_project = pytest.mark.parametrize("project", projects.ids())
SYSROOTS = {"arm64-v8a": ("aarch64", "/usr/aarch64-linux-gnu"), "armeabi-v7a": ("arm", "/usr/arm-linux-gnueabi")}


@pytest.fixture(scope="module")
def graph() -> Graph:
    return nets.random_graph(toys.spec())


def written(graph: Graph, project: str, folder: Path, target: str | None = None) -> Path:
    verb.export(graph, [], folder, target, project=[project])
    return folder / f"toy-{project}"


def tool(name: str) -> str:
    if shutil.which(name) is None:
        pytest.skip(f"{name} is missing")
    return name


def done(command: list[str | Path], folder: Path) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@every_project
def test_each_says_how_it_is_built(project: str) -> None:
    module = projects.load(project)
    assert module.LANGUAGE in ("c", "rust") and module.BUILD and module.__doc__


@every_project
@pytest.mark.toolchain
def test_two_exports_are_the_same_bytes(graph: Graph, project: str, tmp_path: Path) -> None:
    first, second = (written(graph, project, tmp_path / k) for k in "ab")
    files = {p.relative_to(first) for p in first.rglob("*") if p.is_file()}
    assert files == {p.relative_to(second) for p in second.rglob("*") if p.is_file()}
    assert all((first / f).read_bytes() == (second / f).read_bytes() for f in files)


@pytest.mark.parametrize("generator", ["Ninja", "Unix Makefiles"])
def test_cmake_builds_and_its_test_passes(graph: Graph, tmp_path: Path, generator: str) -> None:
    cmake = tool("cmake")
    tool("ninja" if generator == "Ninja" else "make")
    folder = written(graph, "cmake", tmp_path)
    done([cmake, "-G", generator, "-B", "build"], folder)
    done([cmake, "--build", "build"], folder)
    done(["ctest", "--test-dir", "build"], folder)
    assert done([folder / "build" / "toy_example"], folder) == EQUAL


def test_the_example_can_fail(graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str]) -> None:
    folder = written(graph, "cmake", tmp_path)
    example = folder / "example" / "toy_example.c"
    changed = re.sub(r"(output_0\[3\] = \{\n\s*)(-?\d+)", lambda m: f"{m[1]}{-1 - int(m[2])}", example.read_text())
    example.write_text(changed)
    units = ["src/toy.c", "example/main.c", "example/toy_example.c"]
    done([system_compiler("gcc"), "-O2", "-Iinclude", *units, "-o", "program"], folder)
    result = subprocess.run([folder / "program"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (1, "toy: 1 codes differ\n")


def test_cmake_is_part_of_another_project(graph: Graph, tmp_path: Path) -> None:
    cmake = tool("cmake")
    folder = written(graph, "cmake", tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(outer C)\nadd_subdirectory(toy-cmake)\n"
        "add_executable(own own.c)\ntarget_link_libraries(own PRIVATE toy)\n"
    )
    (tmp_path / "own.c").write_text('#include "toy.h"\nint main(void) { return TOY_ARENA_BYTES == 0; }\n')
    done([cmake, "-B", "build"], tmp_path)
    done([cmake, "--build", "build"], tmp_path)
    done([tmp_path / "build" / "own"], folder)
    assert not (tmp_path / "build" / "toy-cmake" / "toy_example").exists()


def test_cargo_runs_its_example_and_its_test(graph: Graph, tmp_path: Path) -> None:
    cargo = tool("cargo")
    folder = written(graph, "cargo", tmp_path)
    built = ["--offline", "--target-dir", str(tmp_path / "built")]
    assert done([cargo, "run", "--release", "--example", "one", *built], folder) == EQUAL
    done([cargo, "test", "--test", "vectors", *built], folder)


@pytest.mark.toolchain
@pytest.mark.parametrize("target", ["rp2040", "esp32c3"])
def test_arduino_compiles_as_the_ide_would_and_runs_on_the_core(graph: Graph, tmp_path: Path, target: str) -> None:
    """At -Os, library and sketch each with the library's `src` in the include path; the sketch itself needs a board's
    core, which no package brings: what it calls runs."""
    folder = written(graph, "arduino", tmp_path, target)
    properties = dict(line.split("=", 1) for line in (folder / "library.properties").read_text().splitlines())
    assert {"name", "version", "author", "maintainer", "sentence", "paragraph", "category", "url", "architectures"} <= (
        set(properties)
    )
    sketch = (folder / "examples" / "toy_example" / "toy_example.ino").read_text()
    assert "#include <toy.h>" in sketch and "toy_example()" in sketch and sketch.count("{") == sketch.count("}")
    entry = "void entry(signed char *a);\nvoid entry(signed char *a) { *a = (signed char)toy_example(); }\n"
    files = [*folder.glob("src/*"), *folder.glob("examples/toy_example/*.[ch]")]
    sources = {f.name: f.read_text() for f in files} | {"entry.c": f'#include "toy_example.h"\n{entry}'}
    program = Program(sources, "entry", 4, (Slot(0, 1),), (Slot(0, 1),), ("run",))
    firmware = toolchain.build(program, targets.load(target), "size")
    run = emulator.run(firmware, [[np.array([9], np.uint8)]], watched=False)
    assert run.outputs[0][0].tolist() == [0] and run.instructions[0][0] > 1000


@pytest.mark.parametrize("project", NOT_BUILT)
def test_c_of_projects_that_are_not_built_is_clean(
    graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str], project: str
) -> None:
    folder = written(graph, project, tmp_path)
    includes = [f"-I{p}" for p in folder.rglob("include")]
    for unit in folder.rglob("*.c"):
        if unit.name != "main.c":
            done([system_compiler("gcc"), "-std=c99", "-Wall", "-Wextra", "-Werror", "-c", *includes, unit], tmp_path)


def test_esp_idf_names_its_own_files(graph: Graph, tmp_path: Path) -> None:
    folder = written(graph, "esp-idf", tmp_path)
    for lists in ("main", "components/toy"):
        text = (folder / lists / "CMakeLists.txt").read_text()
        for name in re.findall(r'"(\w+\.c)"', text):
            assert (folder / lists / name).is_file()
    assert "void app_main(void)" in (folder / "main" / "main.c").read_text()
    assert yaml.safe_load((folder / "components/toy/idf_component.yml").read_text())["version"] == "0.1.0"


def test_zephyr_names_its_own_files(graph: Graph, tmp_path: Path) -> None:
    folder = written(graph, "zephyr", tmp_path)
    module = yaml.safe_load((folder / "zephyr/module.yml").read_text())
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert "config TOY\n" in (folder / module["build"]["kconfig"]).read_text()
    assert "CONFIG_TOY=y" in (folder / "example/prj.conf").read_text()
    for unit in re.findall(r"src/\w+\.c", (folder / "example/CMakeLists.txt").read_text()):
        assert (folder / "example" / unit).is_file()


def test_platformio_names_its_own_files(graph: Graph, tmp_path: Path, system_compiler: Callable[[str], str]) -> None:
    folder = written(graph, "platformio", tmp_path)
    settings = configparser.ConfigParser()
    settings.read(folder / "platformio.ini")
    assert settings["env:native"]["platform"] == "native"
    assert json.loads((folder / "lib/toy/library.json").read_text())["name"] == "toy"
    units = [str(p) for p in folder.rglob("*.c")]
    done([system_compiler("gcc"), "-O2", f"-I{folder}/lib/toy/include", *units, "-o", "program"], tmp_path)
    assert done([tmp_path / "program"], tmp_path) == EQUAL


@pytest.mark.toolchain
@pytest.mark.parametrize("abi", sorted(SYSROOTS))
def test_android_libraries_run_under_qemu(graph: Graph, tmp_path: Path, abi: str) -> None:
    """Loaded by a program of that architecture, which calls it as the Java virtual machine would."""
    machine, root = SYSROOTS[abi]
    qemu = tool(f"qemu-{machine}")
    if not Path(root).is_dir():
        pytest.skip(f"the C library of {machine} is missing: {root}")
    folder = written(graph, "android", tmp_path)
    library = folder / "src" / "main" / "jniLibs" / abi / "libtoy.so"
    triple = {"aarch64": "aarch64-linux-gnu.2.31", "arm": "arm-linux-gnueabi.2.31"}[machine]
    (tmp_path / "caller.c").write_text(_CALLER)
    result = toolchain.zig(["cc", "-target", triple, "-O1", "caller.c", "-ldl", "-o", "caller"], tmp_path)
    assert result.returncode == 0, result.stderr
    sources = prepare(graph, "neon").sources
    inputs, outputs = verb._vectors(graph, ())
    before = np.zeros(sources.arena_bytes, np.int8)
    at = sources.inputs[0].offset_bytes
    before[at : at + inputs[2][0].size] = inputs[2][0].ravel()
    command = [qemu, "-L", root, "caller", str(library), "Java_org_ratti_toy_Toy", str(sources.arena_bytes)]
    run = subprocess.run(command, cwd=tmp_path, input=before.tobytes(), capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    at = sources.outputs[0].offset_bytes
    got = np.frombuffer(run.stdout, np.int8)[at : at + outputs[2][0].size]
    assert np.array_equal(got, outputs[2][0].ravel())


_CALLER = """
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static char *arena;
static void *address(void *env, void *buffer) { (void)env; return buffer; }

int main(int argc, char **argv)
{
    void *table[235] = {0};
    void *const *env = table;
    void *library = dlopen(argv[1], RTLD_NOW);
    char name[200];
    long bytes = atol(argv[3]);
    if (!library) { fputs(dlerror(), stderr); return 2; }
    table[230] = (void *)address;
    snprintf(name, sizeof name, "%s_example", argv[2]);
    if (((int (*)(void *, void *))dlsym(library, name))(&env, 0) != 0) return 3;
    arena = malloc(bytes);
    if (fread(arena, 1, bytes, stdin) != bytes) return 4;
    snprintf(name, sizeof name, "%s_run", argv[2]);
    if (((int (*)(void *, void *, void *))dlsym(library, name))(&env, 0, arena) != 0) return 5;
    fwrite(arena, 1, bytes, stdout);
    return argc != 4;
}
"""


@pytest.mark.toolchain
def test_android_library_needs_nothing_and_shows_only_jni(graph: Graph, tmp_path: Path) -> None:
    from elftools.elf.elffile import ELFFile

    folder = written(graph, "android", tmp_path)
    for library in folder.rglob("*.so"):
        with library.open("rb") as stream:
            file = ELFFile(stream)
            dynamic = file.get_section_by_name(".dynamic")
            assert not [t for t in dynamic.iter_tags() if t.entry.d_tag == "DT_NEEDED"]
            names = {s.name for s in file.get_section_by_name(".dynsym").iter_symbols() if s.name}
            assert names == {"Java_org_ratti_toy_Toy_run", "Java_org_ratti_toy_Toy_example"}
            if file.elfclass == 64:  # Android 15 maps pages of 16 KiB
                assert all(s["p_align"] >= 1 << 14 for s in file.iter_segments() if s["p_type"] == "PT_LOAD")


@pytest.mark.toolchain
def test_android_library_works_in_a_java_machine(graph: Graph, tmp_path: Path) -> None:
    """The same C for this computer, called by a real virtual machine through a class of the same name."""
    javac, java = tool("javac"), tool("java")
    folder = written(graph, "android", tmp_path)
    kotlin = (folder / "src/main/kotlin/org/ratti/toy/Toy.kt").read_text()
    assert "external fun example(): Int" in kotlin and "private external fun run(arena: ByteBuffer): Int" in kotlin
    native = {p.name: p.read_text() for p in (folder / "src/main/cpp").glob("*.[ch]")}
    (tmp_path / "libtoy.so").write_bytes(linux.library(native, "x86_64", "libtoy.so"))
    (tmp_path / "Toy.java").write_text(
        "package org.ratti.toy;\npublic class Toy {\n  static { System.loadLibrary(\"toy\"); }\n"
        "  native int example();\n  native int run(java.nio.ByteBuffer arena);\n"
        "  public static void main(String[] a) { Toy t = new Toy();\n"
        "    int ran = t.run(java.nio.ByteBuffer.allocateDirect(1 << 16));\n"
        "    int refused = t.run(java.nio.ByteBuffer.allocate(1 << 16));\n"
        "    System.out.print(t.example() + \" \" + ran + \" \" + refused); } }\n"
    )
    done([javac, "-d", "classes", "Toy.java"], tmp_path)
    options = ["-Djava.library.path=.", "-XX:TieredStopAtLevel=1", "-cp", "classes"]
    assert done([java, *options, "org.ratti.toy.Toy"], tmp_path) == "0 0 1"


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["export", "micro-1.0-8", "--project", "cmake,zephyr", "--name", "mine", "--out", str(tmp_path)]) == 0
    printed = [Path(p) for p in capsys.readouterr().out.split()]
    assert {p.relative_to(tmp_path).parts[0] for p in printed} == {"mine-cmake", "mine-zephyr"}
    assert main(["export", "micro-1.0-8", "--project", "makefile", "--out", str(tmp_path / "x")]) == 2
    assert "unknown project 'makefile'" in capsys.readouterr().err and not (tmp_path / "x").exists()


def test_an_unknown_project_is_refused_before_anything_is_written(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown project"):
        verb.export(graph, ["c"], tmp_path / "x", project=["cmake", "gradle"])
    assert not (tmp_path / "x").exists()
