"""Compiling emitted C for this computer, and running it on inputs that arrive on standard input."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ratti.device import cache, toolchain
from ratti.emit.c import CSources
from ratti.plan import Plan
from ratti.types import Array

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror")
UNDEFINED = ("-O1", "-g", "-fsanitize=undefined", "-fno-sanitize-recover=all")
ADDRESS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")

_INCLUDES = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
_CALL = re.compile(r"^    (\w+)\((.*?)\);$", re.S | re.M)


def compile_c(sources: Mapping[str, str], compiler: str, flags: Sequence[str]) -> Path:
    """The program made of the `.c` files of `sources`; the compiler's words are the assertion's text."""
    key = cache.key({"sources": dict(sources), "compiler": _version(compiler), "flags": list(flags)})

    def make(work: Path) -> None:
        toolchain.write_sources(work, sources)
        arguments = [*flags, *sorted(n for n in sources if n.endswith(".c")), "-I.", "-o", "program"]
        if compiler == "zig":
            result = toolchain.zig(["cc", *arguments], work)
        else:
            result = subprocess.run([compiler, *arguments], cwd=work, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr

    return cache.publish("host", key, make) / "program"


def run(program: Path, inputs: Sequence[Sequence[Array]], bytes_each: int, *arguments: str) -> list[Array]:
    """What the program writes for each sample: int8 (samples, bytes_each)."""
    data = b"".join(x.tobytes() for sample in inputs for x in sample)
    result = subprocess.run([program, *arguments], input=data, capture_output=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr.decode("utf-8", "replace")
    return list(np.frombuffer(result.stdout, np.int8).reshape(len(inputs), bytes_each))


def arena_main(name: str, emitted: CSources) -> str:
    """A program that runs the model as it was emitted, in an arena filled with the byte given as argument."""
    reads = [f"fread(arena + {p.offset_bytes}, 1, {p.type.bytes}, stdin) != {p.type.bytes}" for p in emitted.inputs]
    writes = [f"        fwrite(arena + {p.offset_bytes}, 1, {p.type.bytes}, stdout);" for p in emitted.outputs]
    return "\n".join([
        _INCLUDES + f'#include "{name}.h"',
        "int main(int argc, char **argv)\n{",
        f"    int8_t *arena = malloc({max(emitted.arena_bytes, 1)});",
        "    for (;;) {",
        f"        memset(arena, argc > 1 ? atoi(argv[1]) : 0, {emitted.arena_bytes});",
        f"        if ({' || '.join(reads)}) break;",
        f"        {emitted.entry}(arena);",
        *writes,
        "    }\n    free(arena);\n    return 0;\n}\n",
    ])


def steps_main(name: str, plan: Plan, emitted: CSources, parts: int) -> str:
    """A program that runs every step on buffers of its own, each of exactly the bytes that it may touch.

    The rows of each step are computed in `parts` calls. Standard input holds the operands of each step in turn.
    """
    source = emitted.files[f"{name}.c"]
    calls = _CALL.findall(source[source.index(f"void {emitted.entry}(") :])
    assert [f for f, _ in calls] == list(emitted.functions)
    body: list[str] = []
    for step, (function, text) in zip(plan.steps, calls, strict=True):
        scratch = step.call.scratch_bytes or 0
        sizes = {f"in{k}": plan.graph.type(n).bytes for k, n in enumerate(step.inputs)}
        sizes |= {"out": step.work.output.bytes, **({"scratch": scratch} if scratch else {})}
        body.append("        {" + "".join(f" int8_t *{n} = block({b});" for n, b in sizes.items()))
        body += [f"        if (fread(in{k}, 1, {sizes[f'in{k}']}, stdin) == 0) break;" for k in range(len(step.inputs))]
        pointers = iter(sizes)
        text = re.sub(r"arena \+ \d+", lambda _: next(pointers), text)  # noqa: B023
        head = text[: text.rindex(" 0,")]
        rows = step.work.rows
        cuts = sorted({rows * k // parts for k in range(parts + 1)})
        body += [f"        {function}({head} {a}, {b});" for a, b in zip(cuts, cuts[1:], strict=False)]
        body.append(f"        fwrite(out, 1, {sizes['out']}, stdout);" + "".join(f" free({n});" for n in sizes) + " }")
    return "\n".join([
        _INCLUDES + f'#include "{name}.c"',
        "static int8_t *block(size_t bytes)\n{\n    int8_t *p = malloc(bytes);\n    memset(p, 0x5a, bytes);\n    return p;\n}",
        "int main(void)\n{\n    for (;;) {",
        *body,
        "    }\n    return 0;\n}\n",
    ])


def _version(compiler: str) -> str:
    if compiler == "zig":
        return "zig " + toolchain.zig(["version"], Path.cwd()).stdout
    path = shutil.which(compiler)
    assert path is not None
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout


__all__ = ["ADDRESS", "UNDEFINED", "WARNINGS", "arena_main", "compile_c", "run", "steps_main", "sys"]
