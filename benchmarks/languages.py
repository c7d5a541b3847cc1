"""One model in C, C++ and Rust on x86-64: bytes of code and constants, and instructions of one inference.

    python benchmarks/languages.py [MODEL ...]

Compiled for the baseline x86-64 (`-O2`; Rust `opt-level=3`, and 2), counted by QEMU's user mode, outputs compared.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from instructions import counted, plugin

from ratti import models
from ratti.deploy import prepare_rust
from ratti.device import host_rust, toolchain
from ratti.emit._crate import EDITION
from ratti.graph import interpreter
from ratti.graph.ir import Graph
from ratti.samples import make_inputs
from ratti.verbs.export import cpp_files

RUNS = 8
ZIG = ("-target", "x86_64-linux-musl", "-O2", "-I.", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables",
       "-fno-stack-protector", "-fno-sanitize=undefined")
C_MAIN = """#include <stdio.h>
#include "{name}.h"
static _Alignas(16) int8_t arena[{upper}_ARENA_BYTES];
int main(void)
{{
    while (fread(arena + {upper}_INPUT_OFFSET, {upper}_INPUT_BYTES, 1, stdin) == 1) {{
        {name}_run(arena);
        fwrite(arena + {upper}_OUTPUT_OFFSET, {upper}_OUTPUT_BYTES, 1, stdout);
    }}
}}
"""
CPP_MAIN = """#include <cstdio>
#include "{name}.hpp"
static ratti::{name}::Model model;
int main()
{{
    while (std::fread(model.input().data(), model.input().size(), 1, stdin) == 1) {{
        model.run();
        std::fwrite(model.output().data(), model.output().size(), 1, stdout);
    }}
}}
"""


def main() -> None:
    print("| model | language | code, B | constants, B | instructions | instr/MAC |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        counter = plugin(folder)
        for model in sys.argv[1:] or ["ds_cnn-1.0-49", "mobilenet_v2_tiny-1.0-8"]:
            graph = models.load(model)
            rows = make_inputs(graph, RUNS)
            want = b"".join(v.tobytes() for row in rows for v in interpreter.run(graph, row).values())
            data = [b"".join(x.tobytes() for x in row) for row in rows]
            made: Mapping[str, tuple[Path, Path]] = {**_c(graph, folder), **_rust(graph, folder)}
            for language, (unit, program) in made.items():
                one, _ = counted(counter, "qemu-x86_64", (program,), data[0])
                all_, printed = counted(counter, "qemu-x86_64", (program,), b"".join(data))
                assert printed == want, f"{language}: outputs differ"
                code, constants = _sizes(unit)
                each = (all_ - one) / (RUNS - 1)
                print(f"| {graph.name} | {language} | {code:,} | {constants:,} | {each:,.0f} "
                      f"| {each / graph.macs():.2f} |")


def _c(graph: Graph, folder: Path) -> dict[str, tuple[Path, Path]]:
    """The object of the model and a program around it, for C and for C++ (the same object and a header)."""
    for file, content in cpp_files(graph, "portable").items():
        (folder / file).write_bytes(content)
    names = {"name": graph.name, "upper": graph.name.upper()}
    (folder / "main.c").write_text(C_MAIN.format(**names))
    (folder / "main.cpp").write_text(CPP_MAIN.format(**names))
    unit = f"{graph.name}.o"
    _zig(folder, "cc", *ZIG, "-std=c11", "-c", f"{graph.name}.c", "-o", unit)
    _zig(folder, "cc", *ZIG, "-std=c11", "-c", "main.c", "-o", "main_c.o")
    _zig(folder, "c++", *ZIG, "-std=c++17", "-fno-exceptions", "-fno-rtti", "-c", "main.cpp", "-o", "main_cpp.o")
    found = {}
    for language, part in (("C", "main_c.o"), ("C++", "main_cpp.o")):
        program = folder / f"{graph.name}_{part}.out"
        _zig(folder, "cc", *ZIG, "-static", unit, part, "-o", program.name)
        found[language] = (folder / unit, program)
    return found


def _rust(graph: Graph, folder: Path) -> dict[str, tuple[Path, Path]]:
    crate = prepare_rust(graph)
    found = {}
    for level in ("3", "2"):
        root = folder / f"{crate.name}-{level}"
        for path, content in crate.files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(content)
        flags = ("-C", f"opt-level={level}", "-C", "panic=abort", "-C", "force-unwind-tables=no", "-C",
                 "codegen-units=1")
        words = [host_rust.compiler(), "--edition", EDITION, *flags, "--crate-type", "rlib", "--emit", "obj",
                 "src/lib.rs", "-o", "unit.o"]
        subprocess.run(words, cwd=root, check=True)
        found[f"Rust, opt-level {level}"] = (root / "unit.o", host_rust.build_executable(crate, flags[:2]))
    return found


def _zig(folder: Path, *words: str) -> None:
    result = toolchain.zig(list(words), folder)
    assert result.returncode == 0, result.stderr


def _sizes(unit: Path) -> tuple[int, int]:
    """Bytes of code, and of other sections that are loaded; unwinding tables left out."""
    code = constants = 0
    with unit.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            flags = section["sh_flags"]
            if flags & SH_FLAGS.SHF_EXECINSTR:
                code += section["sh_size"]
            elif flags & SH_FLAGS.SHF_ALLOC and section.name != ".eh_frame":
                constants += section["sh_size"]
    return code, constants


if __name__ == "__main__":
    main()
