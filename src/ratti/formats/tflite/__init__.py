"""TensorFlow Lite files, read and written through the published schema."""

from __future__ import annotations

from pathlib import Path

from ...graph.ir import Graph
from .reader import parse, read
from .writer import serialize

__all__ = ["parse", "read", "serialize", "write"]


def write(graph: Graph, path: Path) -> None:
    """Writes `graph` to `path`, whole or not at all."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(serialize(graph))
    temporary.replace(path)
