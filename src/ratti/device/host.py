"""The same C on this computer: as a shared library for quick runs, or as an executable under a sanitizer."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..errors import MissingDependencyError, ToolchainError
from ..types import Array
from . import cache, toolchain
from .program import Program

# zig cannot link AddressSanitizer. UndefinedBehaviorSanitizer traps: its run-time library takes zig 25 s to build.
SANITIZERS = {
    "undefined": ("zig", ("-fsanitize=undefined", "-fsanitize-trap=undefined")),
    "address": ("gcc", ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")),
}

CPP = ("-std=c++17", "-O2", "-fPIC", "-fno-exceptions", "-fno-rtti", "-fno-sanitize=undefined")


def build_library(sources: Mapping[str, str], flags: Sequence[str] = (), optimize: str = "speed") -> Path:
    """The `.c` and `.cpp` files of `sources` as a shared library, cached by content. ToolchainError where the compiler
    refuses."""
    libraries = ("-nostdlib",) if sys.platform == "linux" else ()  # found when loaded; linking them takes zig 6 s
    options = ["-shared", "-fPIC", "-std=c11", "-fno-sanitize=undefined", *libraries]
    return _build(sources, "zig", [*options, toolchain.OPTIMIZE[optimize], *flags])


def build_executable(sources: Mapping[str, str], sanitize: str | None = None, flags: Sequence[str] = (),
                     optimize: str = "speed") -> Path:
    """The `.c` files of `sources`, one with a `main`, as an executable under the sanitizer `sanitize` ("undefined",
    "address", or None).

    Under "undefined" a violation ends the program with SIGILL, under "address" with exit code 1 and a report.
    ToolchainError where the compiler refuses, MissingDependencyError where the system has no gcc for "address".
    """
    compiler, own = SANITIZERS[sanitize] if sanitize else ("zig", ("-fno-sanitize=undefined",))
    if compiler == "gcc" and shutil.which("gcc") is None:
        raise MissingDependencyError("gcc (the system's compiler)", "device", "AddressSanitizer")
    return _build(sources, compiler, ["-std=c11", toolchain.OPTIMIZE[optimize], *own, *flags])


class HostModel:
    """A program, compiled for this computer and loaded into this process. Use it as a context, or `close` it."""

    def __init__(self, program: Program, flags: Sequence[str] = ()) -> None:
        self._program = program
        self._library = ctypes.CDLL(str(build_library(program.sources, flags)))
        self._entry = getattr(self._library, program.entry)
        self._entry.argtypes, self._entry.restype = [ctypes.c_void_p], None
        self._memory = np.zeros(program.arena_bytes + 16, np.uint8)
        start = -self._memory.ctypes.data % 16  # as aligned as the arena on a device
        self._arena = self._memory[start : start + program.arena_bytes]

    def __enter__(self) -> HostModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, values: Sequence[Array]) -> list[Array]:
        """One inference: an array with as many bytes as its slot for each input; the outputs' bytes as uint8."""
        for slot, value in zip(self._program.inputs, values, strict=True):
            raw = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
            if raw.size != slot.bytes:
                raise ValueError(f"an input of {raw.size} bytes where the program takes {slot.bytes}")
            self._arena[slot.offset_bytes : slot.offset_bytes + slot.bytes] = raw
        self._entry(self._arena.ctypes.data)
        return [self._arena[s.offset_bytes : s.offset_bytes + s.bytes].copy() for s in self._program.outputs]

    def close(self) -> None:
        """Unload the library where the system can."""
        handle, self._library = getattr(self, "_library", None), None  # type: ignore[assignment]
        if handle is not None and os.name == "posix":
            import _ctypes

            with contextlib.suppress(OSError):
                _ctypes.dlclose(handle._handle)


def _build(sources: Mapping[str, str], compiler: str, options: Sequence[str]) -> Path:
    units = [name for name in sorted(sources) if name.endswith(".c")]
    parts = [name for name in sorted(sources) if name.endswith(".cpp")]
    arguments = [*options, "-I.", *units, *(f"{part}.o" for part in parts), "-o", "program"]
    own = [*arguments, *(CPP if parts else ())]
    version = toolchain.zig_version() if compiler == "zig" else _gcc_version()

    def make(work: Path) -> None:
        toolchain.write_sources(work, sources)
        for part in parts:
            result = toolchain.zig(["c++", *CPP, "-I.", "-c", part, "-o", f"{part}.o"], work)
            if result.returncode:
                raise ToolchainError(f"zig refused {part}:\n{toolchain.short(result.stderr)}")
        if compiler == "zig":
            result = toolchain.zig(["cc", *arguments], work)
        else:
            result = subprocess.run([compiler, *arguments], cwd=work, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ToolchainError(f"{compiler} refused the program:\n{toolchain.short(result.stderr)}")

    key = cache.key({"compiler": [compiler, version], "arguments": own, "sources": dict(sources)})
    return cache.publish("host", key, make, "program") / "program"


def _gcc_version() -> str:
    return subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=False).stdout
