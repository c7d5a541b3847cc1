"""Linked firmware: its bytes, its symbols and its sizes, read from the ELF file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import MissingDependencyError, ToolchainError

_MARKS = {"$t": "code", "$x": "code", "$d": "data"}  # mapping symbols of the Arm and the RISC-V ELF ABI


@dataclass(frozen=True)
class Symbol:
    """A function or an object of the image."""

    name: str
    address: int
    bytes: int
    is_function: bool

    @property
    def end(self) -> int:
        return self.address + self.bytes


@dataclass(frozen=True)
class Segment:
    """Bytes that are loaded: at `address`, from `file_offset` of the ELF file."""

    address: int
    file_offset: int
    bytes: int


@dataclass(frozen=True)
class Image:
    """Firmware as the emulator and the reports need it. Sizes in bytes.

    `code` lists the ranges of addresses that hold instructions, without literal pools and tables.
    """

    path: str
    text_start: int
    text_bytes: int
    rodata_bytes: int
    data_bytes: int
    bss_bytes: int
    segments: tuple[Segment, ...]
    symbols: tuple[Symbol, ...]
    code: tuple[tuple[int, int], ...]

    @property
    def flash_bytes(self) -> int:
        """Code, constants and the initial values of data."""
        return self.text_bytes + self.rodata_bytes + self.data_bytes

    @property
    def ram_static_bytes(self) -> int:
        return self.data_bytes + self.bss_bytes

    @cached_property
    def by_name(self) -> dict[str, Symbol]:
        return {s.name: s for s in self.symbols}

    def symbol(self, name: str) -> Symbol:
        """The symbol `name`; an absent one is a ToolchainError."""
        try:
            return self.by_name[name]
        except KeyError:
            raise ToolchainError(f"the linked image has no symbol '{name}'") from None

    def contents(self) -> bytes:
        """All segments, one after the other."""
        data = Path(self.path).read_bytes()
        return b"".join(data[s.file_offset : s.file_offset + s.bytes] for s in self.segments)

    def read(self, start: int, end: int) -> bytes:
        """What the image loads from address `start` to `end`."""
        segment = next(s for s in self.segments if s.address <= start and end <= s.address + s.bytes)
        offset = segment.file_offset + start - segment.address
        return Path(self.path).read_bytes()[offset : offset + end - start]

    def save(self, path: Path) -> None:
        fields = asdict(self)
        del fields["path"]
        path.write_text(json.dumps(fields), encoding="utf-8")

    @classmethod
    def restore(cls, description: Path, elf: Path) -> Image:
        f: dict[str, Any] = json.loads(description.read_text(encoding="utf-8"))
        f["segments"] = tuple(Segment(**s) for s in f["segments"])
        f["symbols"] = tuple(Symbol(**s) for s in f["symbols"])
        f["code"] = tuple((a, b) for a, b in f["code"])
        return cls(path=str(elf), **f)


def read(elf: Path) -> Image:
    """The image of a linked ELF file."""
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError:
        raise MissingDependencyError("pyelftools", "device", "reading firmware") from None
    with elf.open("rb") as stream:
        file: Any = ELFFile(stream)
        sizes = {s.name: s["sh_size"] for s in file.iter_sections()}
        start = file.get_section_by_name(".text")["sh_addr"]
        loads = (g for g in file.iter_segments() if g["p_type"] == "PT_LOAD" and g["p_filesz"])
        segments = tuple(Segment(g["p_paddr"], g["p_offset"], g["p_filesz"]) for g in loads)
        entries = file.get_section_by_name(".symtab").iter_symbols()
        table = [(s.name, s["st_value"], s["st_size"], s["st_info"]["type"]) for s in entries]
    symbols = tuple(
        Symbol(name, value & ~1 if kind == "STT_FUNC" else value, size, kind == "STT_FUNC")
        for name, value, size, kind in table
        if name and not name.startswith("$") and kind != "STT_FILE"
    )
    end = start + sizes[".text"]
    marks = sorted({(v, _MARKS[n[:2]]) for n, v, _, _ in table if n[:2] in _MARKS and start <= v < end})
    return Image(
        path=str(elf),
        text_start=start,
        text_bytes=sizes[".text"],
        rodata_bytes=sizes.get(".rodata", 0),
        data_bytes=sizes.get(".data", 0),
        bss_bytes=sizes.get(".bss", 0),
        segments=segments,
        symbols=tuple(sorted(symbols, key=lambda s: (s.address, s.name))),
        code=_code_ranges(marks, end),
    )


def _code_ranges(marks: list[tuple[int, str]], end: int) -> tuple[tuple[int, int], ...]:
    """Ranges between a mark of code and the next mark of data, joined."""
    ranges: list[tuple[int, int]] = []
    for (at, kind), (following, _) in zip(marks, [*marks[1:], (end, "data")], strict=True):
        if kind != "code" or following == at:
            continue
        if ranges and ranges[-1][1] == at:
            ranges[-1] = (ranges[-1][0], following)
        else:
            ranges.append((at, following))
    return tuple(ranges)
