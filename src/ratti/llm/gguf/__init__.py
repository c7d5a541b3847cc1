"""GGUF files: a reader that maps and checks them, a writer that streams (format: ggml's docs/gguf.md, version 3)."""

from __future__ import annotations

from .reader import GgufFile, TensorEntry, Value, open_gguf
from .writer import TensorPlan, write

__all__ = ["GgufFile", "TensorEntry", "TensorPlan", "Value", "open_gguf", "write"]
