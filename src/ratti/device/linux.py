"""Programs and libraries for phones and gateways: Linux and Android on Arm (and Intel) processors, compiled by zig.

Libraries for Android need nothing of the system, not even a C library; programs for Linux are static.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import registry
from ..errors import ToolchainError
from . import cache, toolchain

# Shared libraries by Android's ABI names (developer.android.com/ndk/guides/abis); 64-bit pages may be of 16 KiB.
ABIS: Mapping[str, tuple[str, ...]] = {
    "arm64-v8a": ("-target", "aarch64-linux-android", "-Wl,-z,max-page-size=16384"),
    "armeabi-v7a": ("-target", "arm-linux-androideabi", "-mcpu=generic+v7a+neon+vfp3"),
    "x86_64": ("-target", "x86_64-linux-musl", "-Wl,-z,max-page-size=16384"),
}

_OPTIONS = ("-std=gnu11", "-O3", "-fno-sanitize=undefined", "-fvisibility=hidden", "-fno-stack-protector", "-g0", "-s")
_MEMORY = Path(__file__).parent / "runtime" / "memory.c"


def library(sources: Mapping[str, str], abi: str, soname: str) -> bytes:
    """The `.c` files of `sources` as a shared library for Android's `abi`, cached by content."""
    if abi not in ABIS:
        raise registry.unknown("Android ABI", abi, ABIS)
    units = [name for name in sorted(sources) if name.endswith(".c")]
    everything = {**sources, "memory.c": _MEMORY.read_text(encoding="utf-8")}
    own = ("-ffreestanding", "-fPIC", "-shared", "-nostdlib", f"-Wl,-soname,{soname}")
    return _build(everything, [*ABIS[abi], *_OPTIONS, *own, *units, "memory.c"]).read_bytes()


def _build(sources: Mapping[str, str], arguments: Sequence[str]) -> Path:
    key = cache.key({"zig": toolchain.zig_version(), "arguments": list(arguments), "sources": dict(sources)})

    def make(work: Path) -> None:
        toolchain.write_sources(work, sources)
        result = toolchain.zig(["cc", "-I.", *arguments, "-o", "program"], work)
        if result.returncode:
            raise ToolchainError(f"zig refused the program:\n{toolchain.short(result.stderr)}")

    return cache.publish("linux", key, make, "program") / "program"
