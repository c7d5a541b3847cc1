"""What arrives at a device: C sources with one entry function, and where its data lie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

IDENTIFIER = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True)
class Slot:
    """A tensor in the arena."""

    offset_bytes: int
    bytes: int

    def __post_init__(self) -> None:
        if self.offset_bytes < 0 or self.bytes < 1:
            raise ValueError(f"a slot of {self.bytes} bytes at offset {self.offset_bytes}")


@dataclass(frozen=True)
class Program:
    """`entry` is `void entry(int8_t *arena)`: a straight line of one call of a function that is not inlined per step.

    `sources` are {file name: text}; every `.c` file is compiled. `weights` names the arrays of int8 weights and int32
    biases: what flash holds besides them counts as code.
    """

    sources: Mapping[str, str]
    entry: str
    arena_bytes: int
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    steps: tuple[str, ...]
    weights: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not IDENTIFIER.fullmatch(self.entry):
            raise ValueError(f"'{self.entry}' is no name of a C function")
        if not any(name.endswith(".c") for name in self.sources):
            raise ValueError("a program needs at least one .c file")
        for name in self.sources:
            if not re.fullmatch(r"[\w.+-]+", name) or name.startswith("."):
                raise ValueError(f"'{name}' is no plain file name")
        if self.arena_bytes < 1 or not self.steps:
            raise ValueError("a program needs an arena and at least one step")
        for slot in (*self.inputs, *self.outputs):
            if slot.offset_bytes + slot.bytes > self.arena_bytes:
                raise ValueError(f"{slot} reaches beyond the arena of {self.arena_bytes} bytes")
