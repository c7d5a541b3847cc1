"""Programs and libraries for phones and gateways: Linux and Android on Arm (and Intel) processors, compiled by zig.

Libraries for Android need nothing of the system, not even a C library; programs for Linux are static.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .. import registry
from ..errors import ToolchainError
from . import cache, toolchain
from .program import Program

# Shared libraries by Android's ABI names (developer.android.com/ndk/guides/abis); 64-bit pages may be of 16 KiB.
ABIS: Mapping[str, tuple[str, ...]] = {
    "arm64-v8a": ("-target", "aarch64-linux-android", "-Wl,-z,max-page-size=16384"),
    "armeabi-v7a": ("-target", "arm-linux-androideabi", "-mcpu=generic+v7a+neon+vfp3"),
    "x86_64": ("-target", "x86_64-linux-musl", "-Wl,-z,max-page-size=16384"),
}

# Static programs by kind of processor. NEON is part of both Arm architectures as compiled here; its kernels use dot
# products where there are some.
MACHINES: Mapping[str, tuple[str, ...]] = {
    "aarch64": ("-target", "aarch64-linux-musl"),
    "aarch64-dotprod": ("-target", "aarch64-linux-musl", "-mcpu=generic+dotprod"),  # Armv8.2 and later, mostly
    "armv7l": ("-target", "arm-linux-musleabihf", "-mcpu=generic+v7a+neon+vfp3"),
    "x86_64": ("-target", "x86_64-linux-musl"),
}
ALIASES = {"arm64": "aarch64", "armv8l": "armv7l"}

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


def machine(name: str, cpuinfo: str = "") -> str:
    """The entry of `MACHINES` for what `uname -m` and Linux's /proc/cpuinfo say; an unknown one is an InputError."""
    found = ALIASES.get(name, name)
    if found not in MACHINES:
        raise registry.unknown("kind of processor", name, MACHINES)
    features = [line.split(":", 1)[1].split() for line in cpuinfo.splitlines() if line.startswith("Features")]
    if found == "aarch64" and features and all("asimddp" in words for words in features):  # of all cores
        return "aarch64-dotprod"
    return found


def instruction_set(kind: str) -> str:
    """What programs for processors of `kind`, of `MACHINES` or `ABIS`, are prepared for."""
    return "neon" if kind.startswith(("aarch64", "arm")) else "portable"


def runner(program: Program, header: str, kind: str) -> Path:
    """The static program that times `program` (`runner.c`) on processors of `kind`; `header` declares its entry."""
    reads, writes, at = [], [], 0
    for slot in program.inputs:
        writes.append(f"    memcpy(arena + {slot.offset_bytes}, inputs + {at}, {slot.bytes});")
        at += slot.bytes
    for slot in program.outputs:
        reads.append(f"    fwrite(arena + {slot.offset_bytes}, 1, {slot.bytes}, out);")
    model = _MODEL.format(
        header=header, arena=program.arena_bytes, inputs=at, entry=program.entry,
        writes="\n".join(writes), reads="\n".join(reads),
    )
    text = (Path(__file__).parent / "runner.c").read_text(encoding="utf-8")
    sources = {**program.sources, "model.h": model, "runner.c": text}
    return executable(sources, kind)


def executable(sources: Mapping[str, str], kind: str) -> Path:
    """A static program of the `.c` files of `sources` for processors of `kind`, cached by content."""
    units = [name for name in sorted(sources) if name.endswith(".c")]
    return _build(sources, [*MACHINES[kind], *_OPTIONS, "-static", *units])


_MODEL = """#include "{header}"

#define MODEL_ARENA_BYTES {arena}
#define MODEL_INPUTS_BYTES {inputs}
#define MODEL_RUN {entry}

static void model_write(int8_t *arena, const char *inputs)
{{
{writes}
}}

static void model_read(const int8_t *arena, FILE *out)
{{
{reads}
}}
"""


def _build(sources: Mapping[str, str], arguments: Sequence[str]) -> Path:
    key = cache.key({"zig": toolchain.zig_version(), "arguments": list(arguments), "sources": dict(sources)})

    def make(work: Path) -> None:
        toolchain.write_sources(work, sources)
        result = toolchain.zig(["cc", "-I.", *arguments, "-o", "program"], work)
        if result.returncode:
            raise ToolchainError(f"zig refused the program:\n{toolchain.short(result.stderr)}")

    return cache.publish("linux", key, make, "program") / "program"
