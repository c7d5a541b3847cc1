"""ONNX files, through the published protobuf schema."""

from __future__ import annotations

from .reader import parse, read
from .writer import serialize

__all__ = ["parse", "read", "serialize"]
