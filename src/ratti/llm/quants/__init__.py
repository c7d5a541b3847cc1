"""Block types of GGUF: one a file, found by name. Each file holds a `TYPE`.

Layouts and objectives are ggml's (MIT); each quantizer follows the reference in float32 and in its order of summation,
so that blocks come out equal.
"""

from __future__ import annotations

from ... import registry
from .base import BlockType

__all__ = ["BlockType", "by_id", "ids", "load"]


def ids() -> tuple[str, ...]:
    """All types: `q4_k`, ..."""
    return tuple(name for name in registry.modules(__name__) if name != "base")


def load(name: str) -> BlockType:
    """The type `name`; InputError with the known ones otherwise."""
    if name not in ids():
        raise registry.unknown("block type", name, ids())
    found: BlockType = registry.load(__name__, name).TYPE
    return found


def by_id(number: int) -> BlockType | None:
    """The type that GGUF numbers `number`, or None where it is not one of ours."""
    return next((load(name) for name in ids() if load(name).id == number), None)
