"""The C++ class on this computer: wrapped as a program whose arena is its inputs and outputs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from ..emit import cpp
from ..emit.c import CSources, Port
from .program import Program, Slot


def program(sources: CSources, name: str) -> Program:
    """A program for `host.HostModel` that writes, runs and reads a `Model` through its own functions."""
    slots = _slots((*sources.inputs, *sources.outputs))
    inputs, outputs = slots[: len(sources.inputs)], slots[len(sources.inputs) :]
    text = _MAIN.format(
        name=name,
        writes="\n".join(
            f"    std::copy_n(io + {s.offset_bytes}, model.{n}().size(), model.{n}().begin());"
            for n, s in zip(cpp.names("input", sources.inputs), inputs, strict=True)
        ),
        reads="\n".join(
            f"    std::copy(model.{n}().begin(), model.{n}().end(), io + {s.offset_bytes});"
            for n, s in zip(cpp.names("output", sources.outputs), outputs, strict=True)
        ),
    )
    files = {**sources.files, **cpp.emit(sources, name), "class.cpp": text}
    size = slots[-1].offset_bytes + slots[-1].bytes
    return Program(files, "ratti_run_class", size, inputs, outputs, sources.steps)


def _slots(ports: Sequence[Port]) -> tuple[Slot, ...]:
    offsets = accumulate((p.type.bytes for p in ports), initial=0)
    return tuple(Slot(offset, p.type.bytes) for offset, p in zip(offsets, ports, strict=False))


_MAIN = """#include <algorithm>

#include "{name}.hpp"

static ratti::{name}::Model model;

extern "C" void ratti_run_class(std::int8_t *io)
{{
{writes}
    model.run();
{reads}
}}
"""
