"""What a device is: a TOML file in this folder, one a board or part, found by its name.

Every number carries the source that somebody read (a document and its table), or the word `unverified`.
The table `[sources]` of a file maps a field (`clock_hz`, `memory.flash.bytes`, ...) to that text.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .. import registry
from ..errors import InputError

UNVERIFIED = "unverified"
KINDS = ("flash", "ram")
HOLDS = ("code", "constants", "data", "stack")


@dataclass(frozen=True)
class Region:
    """A range of addresses of one memory. `holds` says what the linker places there: code, constants (and the initial
    values of data), data (static data and the arena), stack. Two flash regions with the same `chip` are views of one
    memory and share its `bytes`. `holds_also` may name data: they lie there where they fit beside
    what it holds, as in a memory that is nearer to the core.
    """

    name: str
    kind: str
    origin: int
    bytes: int
    holds: tuple[str, ...] = ()
    holds_also: tuple[str, ...] = ()
    wait_states: int | None = None  # at the target's clock; None: not known
    chip: str = ""
    reserved_bytes: int = 0  # at the start, for a boot stage or an image header

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"memory {self.name}: kind is '{self.kind}', not one of {', '.join(KINDS)}")
        if self.bytes < 1 or self.origin < 0 or self.origin + self.bytes > 1 << 32:
            raise ValueError(f"memory {self.name}: {self.bytes} bytes at {self.origin:#x} do not fit in 32 bits")
        if not 0 <= self.reserved_bytes < self.bytes:
            raise ValueError(f"memory {self.name}: {self.reserved_bytes} reserved of {self.bytes} bytes")
        if set(self.holds) - set(HOLDS):
            raise ValueError(f"memory {self.name}: holds {', '.join(self.holds)}; allowed: {', '.join(HOLDS)}")

        if set(self.holds_also) - {"data"}:
            raise ValueError(f"memory {self.name}: holds_also {', '.join(self.holds_also)}; allowed: data")

    @property
    def end(self) -> int:
        return self.origin + self.bytes

    @property
    def start(self) -> int:
        """The first address that firmware may use."""
        return self.origin + self.reserved_bytes

    @property
    def usable_bytes(self) -> int:
        return self.bytes - self.reserved_bytes


@dataclass(frozen=True)
class FlashCache:
    """The accelerator between a core and its flash: two small caches of lines (fully associative, least recently used
    out first) and a prefetcher of code. 0 lines of a kind means that those reads are not cached.
    """

    read_bytes: int  # what one flash access delivers
    line_bytes: int
    code_lines: int
    data_lines: int
    prefetch: bool

    def __post_init__(self) -> None:
        for name in ("line_bytes", "read_bytes"):
            value = getattr(self, name)
            if value < 4 or value & (value - 1):
                raise ValueError(f"flash cache: {name} is {value}, not a power of two of at least 4")
        if not self.read_bytes <= self.line_bytes <= 32 * self.read_bytes:
            raise ValueError(f"flash cache: lines of {self.line_bytes} bytes from reads of {self.read_bytes}")
        if min(self.code_lines, self.data_lines) < 0:
            raise ValueError("flash cache: a number of lines is below zero")


@dataclass(frozen=True)
class Target:
    """One device. `core` names an entry of `device.cores`, `isa` one of `device.isa`."""

    id: str
    name: str
    vendor: str
    core: str
    isa: str
    clock_hz: int
    memory: tuple[Region, ...]
    features: tuple[str, ...] = ()
    flash_cache: FlashCache | None = None
    active_mw: float | None = None  # power while computing at `clock_hz`; None: no source was read
    price_usd: float | None = None
    note: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.clock_hz <= 0:
            raise ValueError(f"target {self.id}: clock_hz must be above zero")
        for use in HOLDS:
            if sum(use in r.holds for r in self.memory) != 1:
                raise ValueError(f"target {self.id}: exactly one memory must hold {use}")

    def source(self, field_name: str) -> str:
        """Where the number `field_name` was read, or `unverified`."""
        return self.sources.get(field_name, UNVERIFIED)

    def region(self, use: str) -> Region:
        """The memory that holds code, constants, data or the stack."""
        return next(r for r in self.memory if use in r.holds)

    @property
    def runs_from_ram(self) -> bool:
        """True where code and static data share one memory."""
        return self.region("code") is self.region("data")

    @property
    def flash_bytes(self) -> int:
        """What code and constants may take; views of one chip count once."""
        uses = {"code", "constants"}
        chips = {r.chip or r.name: r.usable_bytes for r in self.memory if uses & set(r.holds)}
        return sum(chips.values())

    def ram_beside(self, image_bytes: int) -> int:
        """RAM for data and stack where code and constants take `image_bytes`."""
        return max(self.ram_bytes - image_bytes, 0) if self.runs_from_ram else self.ram_bytes

    @property
    def ram_bytes(self) -> int:
        """RAM in the memories that hold data or the stack."""
        return sum(r.usable_bytes for r in self.memory if {"data", "stack"} & set(r.holds))

    @property
    def placements(self) -> tuple[Target, ...]:
        """The part with its data in each memory that takes them, the preferred first, as listed; itself last."""
        return (*(self._with_data_in(r) for r in self.memory if "data" in r.holds_also), self)

    def _with_data_in(self, chosen: Region) -> Target:
        rest = (replace(r, holds=tuple(u for u in r.holds if u != "data"), holds_also=()) for r in self.memory)
        memory = tuple(replace(r, holds=(*r.holds, "data")) if r.name == chosen.name else r for r in rest)
        return replace(self, memory=memory)

    def roomy(self, bytes_each: int = 1 << 25) -> Target:
        """The same part with `bytes_each` in every memory in use: to measure what does not fit, and by how much.

        A memory that lies too near to the one before it moves up.
        """
        grown: list[Region] = []
        for region in sorted((r for r in self.memory if r.holds), key=lambda r: r.origin):
            origin = max(region.origin, grown[-1].end if grown else 0)
            grown.append(replace(region, origin=origin, bytes=max(region.bytes, bytes_each)))
        return replace(self, memory=tuple(grown))


def ids() -> tuple[str, ...]:
    """All targets, sorted."""
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.toml")))


@cache
def load(target_id: str) -> Target:
    """The target `target_id`; an unknown one is an InputError that lists what there is."""
    if target_id not in ids():
        raise registry.unknown("target", target_id, ids())
    path = Path(__file__).parent / f"{target_id}.toml"
    return parse(target_id, path.read_text(encoding="utf-8"))


def parse(target_id: str, text: str) -> Target:
    """A target from the text of a TOML file; a wrong file is an InputError that names the field."""
    try:
        table: dict[str, Any] = tomllib.loads(text)
        uses = ("holds", "holds_also")
        memory = tuple(Region(**{**m, **{k: tuple(m.get(k, ())) for k in uses}}) for m in table.pop("memory"))
        cache_table = table.pop("flash_cache", None)
        target = Target(
            id=target_id,
            memory=memory,
            features=tuple(table.pop("features", ())),
            flash_cache=FlashCache(**cache_table) if cache_table else None,
            sources=MappingProxyType(table.pop("sources", {})),
            **table,
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"target {target_id}: {error}") from None
    _check_sources(target)
    return target


def numbers(target: Target) -> dict[str, float | int]:
    """Every number of `target` by its field name, as `[sources]` names it."""
    found: dict[str, float | int] = {"clock_hz": target.clock_hz}
    for region in target.memory:
        for part in ("origin", "bytes", "wait_states", "reserved_bytes"):
            value = getattr(region, part)
            if value is not None and (value or part != "reserved_bytes"):
                found[f"memory.{region.name}.{part}"] = value
    if target.flash_cache is not None:
        for part in ("read_bytes", "line_bytes", "code_lines", "data_lines"):
            found[f"flash_cache.{part}"] = getattr(target.flash_cache, part)
    for part in ("active_mw", "price_usd"):
        value = getattr(target, part)
        if value is not None:
            found[part] = value
    return found


def _check_sources(target: Target) -> None:
    extra = set(target.sources) - set(numbers(target))
    if extra:
        raise InputError(f"target {target.id}: sources for fields that it does not have: {', '.join(sorted(extra))}")
