"""Phones and gateways: computers with an operating system, for language models. A TOML file each, found by its name.

As with boards, every number has the source that somebody read, or says `estimated` and from what. There is no
trustworthy published figure for phones of 2 to 4 GB; their numbers are estimates and may be off by a factor of two.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ... import registry
from ...errors import InputError
from .. import UNVERIFIED

KINDS = ("phone", "gateway")
EXTENSIONS = ("dotprod", "i8mm")  # of Arm's instruction set, that llama.cpp's kernels ask for
NUMBERS = ("memory_bytes", "usable_bytes", "bandwidth_bytes_per_s", "int8_ops_per_s", "speed_error")


@dataclass(frozen=True)
class Host:
    """One computer. `usable_bytes` is what a program gets beside the system; `bandwidth_bytes_per_s` what all cores
    read from memory in practice; `int8_ops_per_s` what they multiply and add in llama.cpp's kernels; `speed_error` the
    factor within which a predicted speed is expected.
    """

    id: str
    name: str
    kind: str
    cpu: str
    memory_bytes: int
    usable_bytes: int
    bandwidth_bytes_per_s: float
    int8_ops_per_s: float
    speed_error: float
    extensions: tuple[str, ...] = ()
    note: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is '{self.kind}', not one of {', '.join(KINDS)}")
        if set(self.extensions) - set(EXTENSIONS):
            raise ValueError(f"extensions {', '.join(self.extensions)}; known: {', '.join(EXTENSIONS)}")
        for name in NUMBERS:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0")
        if self.usable_bytes > self.memory_bytes:
            raise ValueError("usable_bytes is more than memory_bytes")
        if self.speed_error < 1:
            raise ValueError("speed_error is a factor of at least 1")
        if set(self.sources) - set(NUMBERS):
            raise ValueError(f"sources for what is no number: {', '.join(sorted(set(self.sources) - set(NUMBERS)))}")

    def source(self, name: str) -> str:
        """Where the number `name` was read, or `unverified`."""
        return self.sources.get(name, UNVERIFIED)

    @property
    def numbers(self) -> dict[str, float]:
        """Every number by its name."""
        return {name: getattr(self, name) for name in NUMBERS}


def ids() -> tuple[str, ...]:
    """All hosts, sorted."""
    return tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.toml")))


@cache
def load(host_id: str) -> Host:
    """The host `host_id`; an unknown one is an InputError that lists what there is."""
    if host_id not in ids():
        raise registry.unknown("phone or gateway", host_id, ids())
    return parse(host_id, (Path(__file__).parent / f"{host_id}.toml").read_text(encoding="utf-8"))


def parse(host_id: str, text: str) -> Host:
    """A host from the text of a TOML file; a wrong file is an InputError that says what is wrong."""
    try:
        table: dict[str, Any] = tomllib.loads(text)
        strange = set(table) - {f.name for f in fields(Host)}
        if strange:
            raise ValueError(f"unknown keys: {', '.join(sorted(strange))}")
        extensions = tuple(table.pop("extensions", ()))
        return Host(id=host_id, extensions=extensions, sources=MappingProxyType(table.pop("sources", {})), **table)
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise InputError(f"host {host_id}: {error}") from None
