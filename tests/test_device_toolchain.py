"""Compiling, linking at the part's real sizes, caching, and the same C on this computer."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from device_programs import C_RUN, COPY, HEAD, c_program, need, program, runnable
from ratti import targets
from ratti.device import cache, emulator, host, linker, toolchain
from ratti.device.measure import measure
from ratti.device.program import Program, Slot
from ratti.errors import DoesNotFitError, EmulationError, InputError, MissingDependencyError, ToolchainError

pytestmark = pytest.mark.toolchain

INPUT = [[np.array([1], np.int8)]]


def constants(size: int) -> Program:
    table = f"static const int8_t w[{size}] = {{1, 2}};\n"
    reads = f"STEP void first(int8_t *a) {{ a[1] = w[(uint8_t)a[0] * {size // 256}]; }}\n"
    return program(table + reads + COPY + C_RUN, weights=("w",))


def test_flash_overflow_in_numbers() -> None:
    with pytest.raises(DoesNotFitError) as error:
        toolchain.build(constants(20_000), targets.load("ch32v003"))
    needs = toolchain.build(constants(20_000), targets.load("ch32v003").roomy()).image.flash_bytes
    assert f"flash needs {needs:,} of 16,384 bytes ({needs - 16_384:,} over)" in str(error.value)


def test_ram_overflow_in_numbers() -> None:
    with pytest.raises(DoesNotFitError, match=r"sram needs 5,000 of 2,048 bytes \(2,952 over\)"):
        toolchain.build(c_program("a[1] = a[0];", arena_bytes=5000), targets.load("ch32v003"))


def test_more_than_any_memory() -> None:
    with pytest.raises(DoesNotFitError, match="does not fit, by far: sram needs more than 32 MB"):
        toolchain.build(c_program("a[1] = a[0];", arena_bytes=40 << 20), targets.load("ch32v003"))


def test_both_at_once() -> None:
    made = constants(20_000)
    made = Program(made.sources, made.entry, 3000, made.inputs, made.outputs, made.steps)
    with pytest.raises(DoesNotFitError, match=r"flash needs .* over\); sram needs 3,000 of 2,048 bytes"):
        toolchain.build(made, targets.load("ch32v003"))


@pytest.mark.parametrize("name", [n for n in targets.ids() if not targets.load(n).runs_from_ram])
def test_what_fits_to_the_last_bytes(name: str) -> None:
    """All of RAM but 64 bytes for static data: it links, and the stack lies below, in what is left."""
    target = targets.load(name)
    region = target.region("data")
    image = toolchain.build(c_program("a[1] = a[0];", arena_bytes=region.usable_bytes - 64), target).image
    arena = image.symbol("ratti_arena")
    assert arena.end <= region.end and arena.address % 16 == 0
    if "stack" in region.holds:
        assert region.start + 32 <= image.symbol("__stack_top").address <= arena.address
    with pytest.raises(DoesNotFitError):
        toolchain.build(c_program("a[1] = a[0];", arena_bytes=region.usable_bytes + 4), target)


def test_code_and_data_in_one_memory() -> None:
    """Code below, then the stack, then static data: what is over is the sum."""
    target = targets.load("thejas32")
    image = toolchain.build(c_program("a[1] = a[0];", arena_bytes=100_000), target).image
    bottom, top = (image.symbol(f"__stack_{end}").address for end in ("bottom", "top"))
    code_end = target.region("code").start + image.text_bytes + image.rodata_bytes
    assert code_end <= bottom < top <= image.symbol("ratti_arena").address
    assert image.symbol("ratti_arena").end <= target.region("data").end
    assert top - bottom > 256_000 - 100_000 - image.flash_bytes - 64
    with pytest.raises(DoesNotFitError, match=r"sram needs 2\d\d,\d\d\d of 256,000 bytes"):
        toolchain.build(c_program("a[1] = a[0];", arena_bytes=256_000), target)


def test_views_of_one_flash_chip_share_its_size() -> None:
    target = targets.parse("x", linkable_views(4096))
    with pytest.raises(DoesNotFitError, match=r"flash needs [\d,]+ of 4,096 bytes"):
        toolchain.build(constants(3900), target)


def linkable_views(size: int) -> str:
    head = 'name = "X"\nvendor = "Y"\ncore = "esp32c3"\nisa = "rv32imc"\nclock_hz = 1\n'
    view = '[[memory]]\nname = "{}"\nkind = "flash"\nchip = "f"\norigin = {}\nbytes = {}\nholds = ["{}"]\n'
    ram = '[[memory]]\nname = "ram"\nkind = "ram"\norigin = 0x20000000\nbytes = 4096\nholds = ["data", "stack"]\n'
    return head + view.format("i", 0x42000000, size, "code") + view.format("d", 0x3C000000, size, "constants") + ram


def test_sizes_add_up() -> None:
    image = toolchain.build(constants(1000), targets.load("esp32c3")).image
    assert image.flash_bytes == image.text_bytes + image.rodata_bytes + image.data_bytes
    assert sum(s.bytes for s in image.segments) == len(image.contents()) == image.flash_bytes
    assert image.symbol("w").bytes == 1000
    assert sum(end - start for start, end in image.code) == image.text_bytes  # this core keeps no data among code
    with pytest.raises(ToolchainError, match="no symbol 'nothing'"):
        image.symbol("nothing")


def test_initialized_and_zeroed_data() -> None:
    text = ("static volatile int32_t set[3] = {11, -5, 7}; static volatile int8_t zero[40];\n"
            "STEP void first(int8_t *a) { a[4] = (int8_t)(set[0] + set[1] + set[2] + zero[a[0]]); }\n"
            "STEP void second(int8_t *a) { a[1] = a[4]; }\n")
    for name in runnable():
        need(name)
        m = measure(program(text + C_RUN), targets.load(name), INPUT)
        assert m.outputs[0][0].view(np.int8)[0] == 13, name
        assert 16 + 12 + 40 <= m.ram_static_bytes <= 16 + 12 + 40 + 8, name


def test_the_runtime_compiles_without_a_warning() -> None:
    for name in runnable():
        toolchain.build(c_program("a[1] = a[0];"), targets.load(name), flags=toolchain.WARNINGS)


def test_a_compiler_error_is_one_of_ours() -> None:
    says = r"(?s)stm32l4r5zi: the compiler refused.*m\.c:\d+:\d+: error: use of undeclared"
    with pytest.raises(ToolchainError, match=says):
        toolchain.build(c_program("a[1] = nothing;"), targets.load("stm32l4r5zi"))
    with pytest.raises(ToolchainError, match="undefined symbol: elsewhere"):
        toolchain.build(c_program("extern void elsewhere(void); elsewhere();"), targets.load("rp2040"))
    with pytest.raises(InputError, match=r"unknown optimization 'fast': .*known: size, speed"):
        toolchain.build(c_program("a[1] = a[0];"), targets.load("rp2040"), "fast")


@pytest.mark.parametrize(
    "change",
    [{"entry": "m run"}, {"sources": {"m.h": ""}}, {"sources": {"../m.c": ""}}, {"arena_bytes": 0}, {"steps": ()},
     {"inputs": (Slot(12, 8),)}],
)
def test_programs_are_checked_at_birth(change: dict[str, object]) -> None:
    good = {"sources": {"m.c": HEAD}, "entry": "m_run", "arena_bytes": 16, "inputs": (), "outputs": (), "steps": ("a",)}
    Program(**good)  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        Program(**(good | change))  # type: ignore[arg-type]


def test_same_content_is_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RATTI_CACHE", str(tmp_path))
    calls: list[list[str]] = []
    real = toolchain.zig
    monkeypatch.setattr(toolchain, "zig", lambda a, f: (calls.append(a), real(a, f))[1])
    target = targets.load("esp32c3")
    first = toolchain.build(c_program("a[1] = a[0];"), target)
    assert toolchain.build(c_program("a[1] = a[0];"), target).image == first.image
    assert len(calls) == 1
    toolchain.build(c_program("a[1] = a[0];"), target, "size")
    toolchain.build(c_program("a[1] = a[0];"), targets.load("ch32v003"))
    toolchain.build(c_program("a[1] = a[2];"), target)
    assert len(calls) == 4
    (first.folder / "image.json").unlink()  # as if somebody had cleaned up half
    assert toolchain.build(c_program("a[1] = a[0];"), target).image == first.image
    assert len(calls) == 5


def test_racing_publishers_agree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RATTI_CACHE", str(tmp_path))
    together = Barrier(4)

    def make(folder: Path) -> None:
        (folder / "half").write_text("1")
        together.wait(10)  # all four are at work before any is done
        (folder / "whole").write_text("2")

    with ThreadPoolExecutor(4) as pool:
        found = {f.result() for f in [pool.submit(cache.publish, "kind", "name", make, "whole") for _ in range(4)]}
    assert found == {tmp_path / "kind" / "name"}
    assert sorted(p.name for p in (tmp_path / "kind").iterdir()) == ["name"]
    assert (tmp_path / "kind" / "name" / "whole").read_text() == "2"


def test_a_failed_build_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RATTI_CACHE", str(tmp_path))

    def make(folder: Path) -> None:
        (folder / "half").write_text("1")
        raise ToolchainError("no")

    with pytest.raises(ToolchainError):
        cache.publish("kind", "name", make)
    assert list((tmp_path / "kind").iterdir()) == []


def test_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATTI_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.folder() == Path("/somewhere/ratti")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == Path.home() / ".cache" / "ratti"
    monkeypatch.setenv("RATTI_CACHE", "/elsewhere")
    assert cache.folder() == Path("/elsewhere")


def test_missing_compiler_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    toolchain.zig_version.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"ziglang.*pip install 'ratti\[device\]'"):
        toolchain.build(c_program("a[1] = a[0];"), targets.load("rp2040"))
    toolchain.zig_version.cache_clear()


def test_importing_the_package_loads_no_engine() -> None:
    code = ("import sys, ratti.device.measure, ratti.device.host\n"
            "print([m for m in ('unicorn', 'capstone', 'elftools', 'ziglang', 'torch') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_linker_script_places_the_stack_below_the_data() -> None:
    script = linker.script(targets.load("stm32h743"))
    assert "dtcm (rw) : ORIGIN = 0x20000000, LENGTH = 0x20000" in script
    assert ".stack (NOLOAD)" in script and "} > dtcm" in script and "} > axi_sram" in script
    small = linker.script(targets.load("ch32v003"))
    assert small.index(".stack (") < small.index(".data :") < small.index(".bss (")


ARITHMETIC = """
typedef struct { int32_t a, b; int64_t x, y; int32_t s, pad; int32_t mul, div, mod; uint32_t udiv, umod; int32_t pad2;
    int64_t lmul, wmul, shl, sar, ldiv, lmod; uint64_t shr, uldiv, ulmod; } numbers;
STEP void first(int8_t *p)
{
    volatile numbers *v = (volatile numbers *)p;
    int32_t a = v->a, b = v->b, s = v->s;
    int64_t x = v->x, y = v->y;
    v->mul = (int32_t)((uint32_t)a * (uint32_t)b), v->wmul = (int64_t)a * b;
    v->lmul = (int64_t)((uint64_t)x * (uint64_t)y);
    v->shl = (int64_t)((uint64_t)x << s), v->sar = x >> s, v->shr = (uint64_t)x >> s;
    v->udiv = (uint32_t)a / (uint32_t)b, v->umod = (uint32_t)a % (uint32_t)b, v->div = a / b, v->mod = a % b;
    v->uldiv = (uint64_t)x / (uint64_t)y, v->ulmod = (uint64_t)x % (uint64_t)y, v->ldiv = x / y, v->lmod = x % y;
}
void m_run(int8_t *arena) { first(arena); }
"""
NUMBERS = np.dtype([(n, t) for names, t in (
    ("a b", "i4"), ("x y", "i8"), ("s pad mul div mod", "i4"), ("udiv umod", "u4"), ("pad2", "i4"),
    ("lmul wmul shl sar ldiv lmod", "i8"), ("shr uldiv ulmod", "u8")) for n in names.split()])


@pytest.mark.parametrize("name", ["stm32l4r5zi", "rp2040", "esp32c3", "ch32v003"])
@pytest.mark.parametrize("optimize", ["speed", "size"])
def test_arithmetic_that_the_core_lacks(name: str, optimize: str) -> None:
    """Products, quotients and shifts of 32 and 64 bits against Python's integers."""
    rng = random.Random(1)

    def number(bits: int) -> int:
        size = rng.choice([3, 8, 16, bits - 1])
        value = rng.randint(-(1 << size), (1 << size) - 1)
        return value if value not in (0, -1) else 5

    size = NUMBERS.itemsize
    made = Program({"m.c": HEAD + ARITHMETIC}, "m_run", size, (Slot(0, 32),), (Slot(0, size),), ("first",))
    rows = np.zeros(60, NUMBERS)
    for row in rows:
        row["a"], row["b"], row["x"], row["y"] = number(32), number(32), number(64), number(64)
        row["s"] = rng.choice([0, 1, 5, 31, 32, 33, 63])
    inputs = [[row.reshape(1).view(np.uint8)[:32]] for row in rows]
    m = measure(made, targets.load(name), inputs, optimize=optimize)

    def wrap(value: int, bits: int) -> int:
        return (value + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))

    def quotient(n: int, d: int) -> int:
        return abs(n) // abs(d) * (1 if (n < 0) == (d < 0) else -1)

    for raw in m.outputs:
        v = raw[0].view(NUMBERS)[0]
        a, b, x, y, s = (int(v[k]) for k in "abxys")
        ua, ub, ux, uy = a % 2**32, b % 2**32, x % 2**64, y % 2**64
        expected = {
            "mul": wrap(a * b, 32), "wmul": a * b, "lmul": wrap(x * y, 64), "shl": wrap(x << s, 64), "sar": x >> s,
            "shr": ux >> s, "udiv": ua // ub, "umod": ua % ub, "div": quotient(a, b), "mod": a - b * quotient(a, b),
            "uldiv": ux // uy, "ulmod": ux % uy, "ldiv": quotient(x, y), "lmod": x - y * quotient(x, y),
        }
        assert {k: int(v[k]) for k in expected} == expected


@pytest.mark.parametrize("name", ["stm32l4r5zi", "rp2040", "ch32v003"])
def test_memory_functions(name: str) -> None:
    """memmove up and down over overlaps, memcpy and memset at every alignment."""
    text = """
void *memcpy(void *, const void *, __SIZE_TYPE__); void *memmove(void *, const void *, __SIZE_TYPE__);
void *memset(void *, int, __SIZE_TYPE__);
STEP void first(int8_t *a)
{
    int8_t *m = a + 4;
    if (a[0] == 0) memmove(m + a[1], m + a[2], (uint32_t)a[3]);
    if (a[0] == 1) memcpy(m + a[1], m + a[2], (uint32_t)a[3]);
    if (a[0] == 2) memset(m + a[1], a[2], (uint32_t)a[3]);
}
void m_run(int8_t *arena) { first(arena); }
"""
    made = Program({"m.c": HEAD + text}, "m_run", 132, (Slot(0, 132),), (Slot(4, 128),), ("first",))
    memory = np.arange(128, dtype=np.uint8)
    cases = [(0, to, at, n) for to in (8, 9, 11, 16) for at in (8, 12, 13, 9) for n in (0, 1, 7, 40, 61)]
    cases += [(1, to, at, n) for to in (64, 65, 66) for at in (0, 1, 4) for n in (3, 16, 33)]
    cases += [(2, to, value, n) for to in (0, 1, 2, 3) for value in (0, -7) for n in (0, 2, 5, 50)]
    inputs = [[np.concatenate([np.array(c, np.int8).view(np.uint8), memory])] for c in cases]
    m = measure(made, targets.load(name), inputs)
    for (kind, to, at, n), got in zip(cases, m.outputs, strict=True):
        want = memory.copy()
        want[to : to + n] = at % 256 if kind == 2 else memory[at : at + n]
        assert (got[0] == want).all(), (kind, to, at, n)


def test_soft_multiply_is_fast_for_small_factors() -> None:
    """int8 times int8 on the core without a multiplier: a bound, so that nobody makes it slow unseen."""
    text = f"{HEAD}STEP void first(int8_t *a) {{ *(volatile int32_t *)(a + 4) = (int32_t)a[0] * a[1]; }}\n"
    sources = {"m.c": text + "void m_run(int8_t *a) { first(a); }\n"}
    made = Program(sources, "m_run", 16, (Slot(0, 2),), (Slot(4, 4),), ("first",))
    values = [(a, b) for a in (-128, -77, -1, 0, 1, 99, 127) for b in (-128, -3, 0, 55, 127)]
    m = measure(made, targets.load("ch32v003"), [[np.array(v, np.int8)] for v in values])
    assert [int(y[0].view(np.int32)[0]) for y in m.outputs] == [a * b for a, b in values]
    assert m.instructions_range[1] <= 60


def test_host_model_equals_the_device() -> None:
    made = c_program("a[5] = (int8_t)(a[0] * 3);")
    with host.HostModel(made) as model:
        for value in (-128, -1, 0, 5, 127):
            row = [np.array([value], np.int8)]
            assert (model.run(row)[0] == measure(made, targets.load("esp32c3"), [row]).outputs[0][0]).all()
        with pytest.raises(ValueError, match="2 bytes where the program takes 1"):
            model.run([np.zeros(2, np.int8)])


def test_host_library_refuses_warnings_on_request() -> None:
    sources = {"m.c": "int f(int n); int f(int n) { char c = n; return c; }\n"}
    host.build_library(sources)
    with pytest.raises(ToolchainError, match="zig refused"):
        host.build_library(sources, flags=toolchain.WARNINGS)


@pytest.mark.slow
@pytest.mark.parametrize("sanitize", ["undefined", "address"])
def test_sanitizers_catch(sanitize: str) -> None:
    bad = {
        "undefined": "volatile int n = 2147483647; n = n + 1;",
        "address": "volatile char b[4]; volatile int i = 4; b[i] = 1;",
    }
    for body, ends_well in (("return 0;", True), (bad[sanitize] + " return 0;", False)):
        sources = {"main.c": f"int main(void) {{ {body} }}\n"}
        program_path = host.build_executable(sources, sanitize)
        assert (subprocess.run([program_path], capture_output=True, check=False).returncode == 0) is ends_well


def test_a_run_needs_inputs() -> None:
    firmware = toolchain.build(c_program("a[1] = a[0];"), targets.load("rp2040"))
    with pytest.raises(ValueError, match="at least one inference"):
        emulator.run(firmware, [])
    with pytest.raises(ValueError, match="2 inputs for a program with 1"):
        emulator.run(firmware, [[np.zeros(1, np.int8)] * 2])


def test_waiting_for_flash_is_kept_for_each_first_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RATTI_CACHE", str(tmp_path))
    firmware = toolchain.build(c_program("for (int i = 0; i < a[0]; i++) a[3] = a[2];"), targets.load("stm32l4r5zi"))
    with emulator.Emulator() as own:
        watched: list[object] = []
        real = own.request
        monkeypatch.setattr(own, "request", lambda t, d, s: (watched.append(t["watch"]), real(t, d, s))[1])
        runs = [emulator.run(firmware, [[np.array([n], np.int8)]], emulator=own) for n in (3, 3, 90, 90)]
    assert watched == ["all", None, "flash", None]
    assert runs[0].stalls == runs[1].stalls is not None
    assert runs[2].stalls == runs[3].stalls is not None


def test_a_forked_child_has_its_own_emulator() -> None:
    made, target = c_program("a[1] = a[0];"), targets.load("rp2040")
    mine = emulator.shared()
    count = measure(made, target, INPUT).instructions
    child = os.fork()
    if child == 0:
        same = emulator.shared() is mine or measure(made, target, INPUT).instructions != count
        emulator.shared().close()
        os._exit(int(same))
    assert os.waitpid(child, 0)[1] == 0
    assert measure(made, target, INPUT).instructions == count


def test_the_check_of_instructions_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    firmware = toolchain.build(c_program("a[1] = a[0];"), targets.load("rp2040"))
    emulator.check(firmware)
    with emulator.Emulator() as own:
        monkeypatch.setattr(own, "request", lambda *a: (_ for _ in ()).throw(EmulationError("asked again")))
        emulator.check(firmware, own)
