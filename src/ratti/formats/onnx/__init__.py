"""ONNX files, through the published protobuf schema."""

from __future__ import annotations

from .writer import serialize

__all__ = ["serialize"]
