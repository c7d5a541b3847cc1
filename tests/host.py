"""Compiling emitted C for this computer, and running it on inputs that arrive on standard input."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ratti.device import toolchain
from ratti.emit.c import CSources
from ratti.plan import Plan
from ratti.types import Array

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror")
QUICK = ("-std=c99", "-O0")  # sanitized code compiles three times as fast as at -O2, and is checked as well

_INCLUDES = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
_CALL = re.compile(r"^    (\w+)\((.*?)\);$", re.S | re.M)


def compiler_says(sources: Mapping[str, str], compiler: Sequence[str]) -> str:
    """The diagnostics of a compiler, given with its flags, for the files of `sources` that it is to make objects of."""
    with tempfile.TemporaryDirectory() as folder:
        toolchain.write_sources(Path(folder), sources)
        arguments = [
            *compiler[1:],
            *([] if "-fsyntax-only" in compiler else ["-c"]),
            "-I.",
            *sorted(n for n in sources if not n.endswith((".h", ".hpp"))),
        ]
        if compiler[0] == "zig":
            result = toolchain.zig(arguments, Path(folder))
        else:
            result = subprocess.run([compiler[0], *arguments], cwd=folder, capture_output=True, text=True, check=False)
        return result.stderr or f"exit code {result.returncode}" * bool(result.returncode)


def run(
    program: Path, inputs: Sequence[Sequence[Array]], bytes_each: int, argument: int, under: Sequence[str] = ()
) -> Array:
    """What the program, `under` an emulator or by itself, writes for each sample: int8 (samples, bytes_each)."""
    data = b"".join(x.tobytes() for sample in inputs for x in sample)
    command = [*under, str(program), str(len(inputs)), str(argument)]
    result = subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)
    said = result.stderr.decode("utf-8", "replace")
    assert result.returncode == 0, f"exit code {result.returncode} (-4: undefined behavior) {said}"
    return np.frombuffer(result.stdout, np.int8).reshape(len(inputs), bytes_each)


def finishes(program: Path) -> tuple[int, str]:
    """The exit code of a program, and what it prints."""
    result = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    return result.returncode, result.stdout


def arena_main(name: str, emitted: CSources) -> str:
    """A program that runs the model as it was emitted, in an arena filled with the byte that is its argument."""
    reads = [
        f"        if (fread(arena + {p.offset_bytes}, {p.type.bytes}, 1, stdin) != 1) return 1;" for p in emitted.inputs
    ]
    writes = [f"        fwrite(arena + {p.offset_bytes}, {p.type.bytes}, 1, stdout);" for p in emitted.outputs]
    return "\n".join(
        [
            f'{_INCLUDES}#include "{name}.h"',
            "int main(int argc, char **argv)\n{",
            f"    int8_t *arena = malloc({emitted.arena_bytes});",
            "    int sample, samples = argc > 2 ? atoi(argv[1]) : 0;",
            "    for (sample = 0; sample < samples; ++sample) {",
            f"        memset(arena, atoi(argv[2]), {emitted.arena_bytes});",
            *reads,
            f"        {emitted.entry}(arena);",
            *writes,
            "    }\n    free(arena);\n    return 0;\n}\n",
        ]
    )


def calls(name: str, emitted: CSources) -> list[tuple[str, str]]:
    """The function of each step and its arguments, as they were emitted."""
    source = emitted.files[f"{name}.c"]
    found = _CALL.findall(source[source.index(f"void {emitted.entry}(") :])
    assert [function for function, _ in found] == list(emitted.functions)
    return found


def steps_main(name: str, plan: Plan, emitted: CSources) -> str:
    """The model's source and a program that runs each of its steps alone, on buffers of exactly the bytes it may touch.

    Its argument is the number of calls that the rows of each step are cut into. Standard input holds, for each sample,
    the operands of every step in turn; standard output the results.
    """
    source = emitted.files[f"{name}.c"]
    body: list[str] = []
    for step, (function, text) in zip(plan.steps, calls(name, emitted), strict=True):
        sizes = {f"in{k}": plan.graph.type(n).bytes for k, n in enumerate(step.inputs)}
        sizes["out"] = step.work.output.bytes
        if step.call.scratch_bytes:
            sizes["scratch"] = step.call.scratch_bytes
        pointers = iter(sizes)
        arguments = re.sub(r"arena \+ \d+", lambda _, p=pointers: next(p), text)
        begin, end = (f"{step.kernel.rows(step.work)} * {part} / parts" for part in ("part", "(part + 1)"))
        body.append("        {" + "".join(f" int8_t *{n} = block({b});" for n, b in sizes.items()))
        body += [
            f"        if (fread({n}, {b}, 1, stdin) != 1) return 1;" for n, b in sizes.items() if n.startswith("in")
        ]
        body.append("        for (part = 0; part < parts; ++part) {")
        call = f"{function}({arguments[: arguments.rindex(' 0,')]} {begin}, {end});"
        body.append(f"            if ({begin} < {end}) {call}\n        }}")
        body.append(f"        fwrite(out, {sizes['out']}, 1, stdout);" + "".join(f" free({n});" for n in sizes) + " }")
    return "\n".join(
        [
            _INCLUDES + source,
            "static int8_t *block(size_t bytes)\n{\n    int8_t *p = malloc(bytes);",
            "    memset(p, 0x5a, bytes);\n    return p;\n}",
            "int main(int argc, char **argv)\n{",
            "    int sample, samples = argc > 2 ? atoi(argv[1]) : 0, part, parts = atoi(argv[2]);",
            "    for (sample = 0; sample < samples; ++sample) {",
            *body,
            "    }\n    return 0;\n}\n",
        ]
    )
