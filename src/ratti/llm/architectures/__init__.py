"""Families of language models: one a file, found by name. Each file holds an `ARCHITECTURE`."""

from __future__ import annotations

from typing import Any

from ... import registry
from ...errors import UnsupportedError
from .base import Architecture, Part, Tensor

__all__ = ["Architecture", "Part", "Tensor", "ids", "load", "of_config"]


def ids() -> tuple[str, ...]:
    """All architectures."""
    return tuple(name for name in registry.modules(__name__) if name != "base")


def load(name: str) -> Architecture:
    """The architecture `name`; InputError with the known ones otherwise."""
    if name not in ids():
        raise registry.unknown("architecture", name, ids())
    found: Architecture = registry.load(__name__, name).ARCHITECTURE
    return found


def of_config(config: dict[str, Any], where: str) -> Architecture:
    """The architecture that a Hugging Face configuration names; UnsupportedError with the known names otherwise."""
    named = config.get("architectures") or []
    known = {load(name).class_name: load(name) for name in ids()}
    for name in named if isinstance(named, list) else []:
        if name in known:
            return known[name]
    said = ", ".join(map(str, named)) if named else "none named"
    raise UnsupportedError(f"{where}: unknown architecture ({said}); known: {', '.join(sorted(known))}")
