"""The devices: every file loads, every number has a place for its source, wrong files are refused by name."""

from __future__ import annotations

import itertools

import pytest

from ratti import targets
from ratti.device import cores, cycles, isa
from ratti.errors import InputError
from ratti.kernels import FEATURES

ALL = {
    "ch32v003", "ch32v307", "esp32", "esp32c3", "esp32s3", "gd32vf103", "mps3-an547", "nrf52840", "rp2040", "rp2350",
    "rp2350-riscv", "stm32f446re", "stm32f746", "stm32g0b1", "stm32h743", "stm32l4r5zi", "stm32u575", "thejas32",
}

GOOD = """
name = "X"
vendor = "Y"
core = "cortex_m4f"
isa = "armv7em"
clock_hz = 1_000_000
[[memory]]
name = "flash"
kind = "flash"
origin = 0
bytes = 4096
holds = ["code", "constants"]
[[memory]]
name = "sram"
kind = "ram"
origin = 0x2000_0000
bytes = 1024
holds = ["data", "stack"]
[sources]
clock_hz = "a document"
"""


def test_all_are_there() -> None:
    assert set(targets.ids()) >= ALL


@pytest.mark.parametrize("name", targets.ids())
def test_target_is_complete(name: str) -> None:
    target = targets.load(name)
    assert target.id == name
    core = cores.load(target.core)
    assert core.compiler_flags and core.name
    assert target.isa in isa.ISAS or core.board or core.absent
    assert target.isa in FEATURES
    table = cycles.table(target.core)
    assert hasattr(table, "SOURCE") != hasattr(table, "REASON")
    assert target.flash_bytes >= 16 * 1024 and target.ram_bytes >= 2 * 1024
    for field, value in targets.numbers(target).items():
        assert value >= 0 and target.source(field), field
    ranges = sorted((r.origin, r.end) for r in target.memory)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ranges))


@pytest.mark.parametrize("name", targets.ids())
def test_roomy_grows_without_overlap(name: str) -> None:
    grown = targets.load(name).roomy()
    ranges = sorted((r.origin, r.end) for r in grown.memory)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ranges))
    assert min(r.bytes for r in grown.memory) >= 1 << 25


def test_sizes_of_the_smallest_part() -> None:
    target = targets.load("ch32v003")
    assert (target.flash_bytes, target.ram_bytes, target.clock_hz) == (16384, 2048, 48_000_000)


def test_views_of_one_chip_count_once() -> None:
    target = targets.load("esp32c3")
    assert target.flash_bytes == 4 * 1024 * 1024 - 32
    assert target.region("code").name != target.region("constants").name


def test_where_code_lies_in_ram_it_takes_its_share() -> None:
    target = targets.load("thejas32")
    assert target.runs_from_ram and target.flash_bytes == target.ram_bytes == 250 * 1024
    assert target.ram_beside(100 * 1024) == 150 * 1024 and target.ram_beside(1 << 20) == 0
    other = targets.load("rp2040")
    assert not other.runs_from_ram and other.ram_beside(100 * 1024) == other.ram_bytes


def test_unknown_target_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown target 'esp32-c3': did you mean esp32c3"):
        targets.load("esp32-c3")


def test_a_number_without_a_source_is_unverified() -> None:
    target = targets.parse("x", GOOD)
    assert target.source("clock_hz") == "a document"
    assert target.source("memory.flash.bytes") == targets.UNVERIFIED


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "ram"', 'kind = "rom"', "kind is 'rom'"),
        ('holds = ["data", "stack"]', 'holds = ["data"]', "exactly one memory must hold stack"),
        ('holds = ["data", "stack"]', 'holds = ["data", "heap", "stack"]', "allowed: code, constants, data, stack"),
        ("bytes = 1024", "bytes = 0", "sram: 0 bytes"),
        ("clock_hz = 1_000_000", "clock_hz = 0", "clock_hz must be above zero"),
        ('vendor = "Y"', "", "vendor"),
        ('vendor = "Y"', 'vendor = "Y"\ncolor = "red"', "color"),
        ('clock_hz = "a document"', 'memory.flash.size = "a document"', "sources for fields"),
        ("clock_hz = 1_000_000", "clock_hz = ", "Invalid value"),
        ("[[memory]]", "[[memories]]", "memory"),
    ],
)
def test_wrong_files_are_refused(old: str, new: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as error:
        targets.parse("x", GOOD.replace(old, new))
    assert str(error.value).startswith("target x: ")
