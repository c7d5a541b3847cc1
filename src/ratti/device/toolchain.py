"""Compile and link firmware with the `ziglang` wheel. (`host.py` compiles the same C for this computer.)

    build(program, target)        firmware at the part's real memory sizes, cached by content
    native(name)                  the block hook, for this computer
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache as memoize
from importlib import metadata
from pathlib import Path

from .. import registry
from ..errors import DoesNotFitError, MissingDependencyError, ToolchainError
from ..targets import Target
from . import cache, cores, linker
from .image import Image
from .image import read as read_image
from .program import Program

WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Werror")
OPTIMIZE = {"speed": "-O2", "size": "-Os"}

_COMMON = (
    "-std=c11", "-ffreestanding", "-fomit-frame-pointer", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables",
    "-fno-stack-protector", "-fno-sanitize=undefined", "-ffunction-sections", "-fdata-sections",
    "-g",  # else zig strips the symbols at -Os; the linker script drops the rest
)
_RUNTIME = Path(__file__).parent / "runtime"
_OVERFLOW = re.compile(r"section '(\S+)' will not fit in region '(\S+)': overflowed by (\d+) bytes")


@dataclass(frozen=True)
class Firmware:
    """A linked program for one target, and the folder of the cache that holds it."""

    program: Program
    target: Target
    image: Image
    folder: Path

    @property
    def weights_bytes(self) -> int:
        """Bytes of the program's weight arrays that are in the image."""
        symbols = self.image.by_name
        return sum(symbols[name].bytes for name in self.program.weights if name in symbols)


def build(program: Program, target: Target, optimize: str = "speed", flags: tuple[str, ...] = ()) -> Firmware:
    """Firmware of `program` for `target`; `flags` go to every compilation, the runtime's too.

    Raises ToolchainError where the compiler refuses, DoesNotFitError (with numbers) where the image is too large.
    """
    if optimize not in OPTIMIZE:
        raise registry.unknown("optimization", optimize, OPTIMIZE)
    core = cores.load(target.core)
    own = (*core.compiler_flags, *_COMMON, OPTIMIZE[optimize], *flags)
    runtime = _runtime_files(core.arch)
    script = linker.script(target)
    name = cache.key({
        "zig": zig_version(),
        "sources": dict(program.sources),
        "program": [program.entry, program.arena_bytes],
        "runtime": [[p.name, p.read_text(encoding="utf-8")] for p in sorted(_RUNTIME.iterdir())],
        "flags": own,
        "script": script,
        "image": [f.name for f in fields(Image)],
    })

    def make(work: Path) -> None:
        write_sources(work, program.sources)
        (work / "memory.ld").write_text(script, encoding="utf-8")
        units = [n for n in sorted(program.sources) if n.endswith(".c")]
        command = [*own, "-I.", f"-DRATTI_ARENA_BYTES={program.arena_bytes}", "-nostdlib",
                   "-Wl,-e,Reset", f"-Wl,-u,{program.entry}", "-Wl,--gc-sections", "-T", "memory.ld",
                   *units, *map(str, runtime), "-o", "firmware.elf"]
        result = zig(["cc", *command], work)
        if result.returncode:
            if _OVERFLOW.search(result.stderr):
                raise _does_not_fit(program, target, optimize, flags, result.stderr)
            raise ToolchainError(f"{target.id}: the compiler refused the program:\n{short(result.stderr)}")
        read_image(work / "firmware.elf").save(work / "image.json")

    place = cache.publish("firmware", name, make, "image.json")
    image = Image.restore(place / "image.json", place / "firmware.elf")
    if image.flash_bytes > target.flash_bytes:  # views of one chip that fit one by one
        raise DoesNotFitError(f"{target.id}: the program does not fit: flash needs {image.flash_bytes:,} of "
                              f"{target.flash_bytes:,} bytes ({image.flash_bytes - target.flash_bytes:,} over)")
    return Firmware(program, target, image, place)


def zig(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run zig in `folder`, with its own caches below ratti's."""
    zig_version()
    environment = dict(os.environ, ZIG_GLOBAL_CACHE_DIR=str(cache.folder() / "zig"),
                       ZIG_LOCAL_CACHE_DIR=str(cache.folder() / "zig"))
    command = [sys.executable, "-m", "ziglang", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def native(name: str) -> Path:
    """`<name>.c` of this package, compiled for this computer as a shared library."""
    folder = Path(__file__).parent
    source = folder / f"{name}.c"
    texts = [p.read_text(encoding="utf-8") for p in (source, *sorted(folder.glob("*.h")))]
    key = cache.key({"zig": zig_version(), "sources": texts, "computer": platform.platform()})

    def make(work: Path) -> None:
        # On Linux the C library is found when the hook is loaded; linking it would have zig build it first (6 s).
        libraries = ["-nostdlib"] if sys.platform == "linux" else []
        options = ["-shared", "-fPIC", "-O2", "-std=gnu11", "-g0", *libraries]
        result = zig(["cc", *options, str(source), "-o", "library"], work)
        if result.returncode:
            raise ToolchainError(f"{name}.c does not compile on this computer:\n{short(result.stderr)}")

    return cache.publish("native", f"{name}-{key}", make, "library") / "library"


def write_sources(folder: Path, sources: Mapping[str, str]) -> None:
    for name, text in sources.items():
        (folder / name).write_text(text, encoding="utf-8")


@memoize
def zig_version() -> str:
    """The version of the installed compiler; MissingDependencyError where there is none."""
    if importlib.util.find_spec("ziglang") is None:
        raise MissingDependencyError("ziglang", "device", "compiling firmware")
    return metadata.version("ziglang")


def _runtime_files(arch: str) -> list[Path]:
    return [*(_RUNTIME / n for n in ("main.c", "memory.c", "integers.c")), *sorted(_RUNTIME.glob(f"*_{arch}.[cS]"))]


def short(text: str, lines: int = 20) -> str:
    """The first lines of a compiler's output."""
    all_lines = text.strip().splitlines()
    rest = f"\n... and {len(all_lines) - lines} lines more" if len(all_lines) > lines else ""
    return "\n".join(all_lines[:lines]) + rest


def _does_not_fit(program: Program, target: Target, optimize: str, flags: tuple[str, ...],
                  linker_says: str) -> DoesNotFitError:
    """The error with real needs, from a second link with room for everything."""
    over = {region for _, region, _ in _OVERFLOW.findall(linker_says)}
    if target == target.roomy():
        sizes = [f"{r.name} needs more than {r.bytes >> 20} MB" for r in target.memory if r.name in over]
        return DoesNotFitError(f"{target.id}: the program does not fit, by far: {'; '.join(sizes)}")
    image = build(program, target.roomy(), optimize, flags).image
    needs = {"flash": image.flash_bytes, "ram": image.ram_static_bytes}
    if target.runs_from_ram:
        needs["ram"] += image.text_bytes + image.rodata_bytes
    parts = [
        f"{r.name} needs {needs[r.kind]:,} of {r.usable_bytes:,} bytes ({needs[r.kind] - r.usable_bytes:,} over)"
        for r in target.memory if r.name in over
    ]
    return DoesNotFitError(f"{target.id}: the program does not fit: {'; '.join(parts)}")
