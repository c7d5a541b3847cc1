"""Safetensors files, memory-mapped, bfloat16 included, and written tensor by tensor (format: an 8-byte length, a JSON
header with types, shapes and offsets, then the bytes; https://github.com/huggingface/safetensors).

The `safetensors` package has no bfloat16 in numpy and writes only what is whole in memory; models need both.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import FormatError
from ..types import Array

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
         "U8": "u1", "BOOL": "?"}
MAX_HEADER_BYTES = 100_000_000  # the limit that the format's own reader sets


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies in its file."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(TYPES[self.dtype]).itemsize

    def raw(self) -> Array:
        """The tensor as stored, mapped; bfloat16 as its 16 bits. The map ends with the array."""
        if 0 in self.shape:
            return np.zeros(self.shape, TYPES[self.dtype])
        return np.memmap(self.path, TYPES[self.dtype], "r", self.offset, self.shape)

    def float32(self) -> Array:
        """The tensor as float32, in memory."""
        raw = self.raw()
        if self.dtype == "BF16":
            return (np.asarray(raw).astype(np.uint32) << 16).view(np.float32)
        return np.array(raw, np.float32)


def read(path: Path) -> dict[str, Entry]:
    """The tensors of one file by name. FormatError where it is damaged or cut short."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
                raise FormatError(f"{path}: no safetensors file, or cut short ({size:,} bytes)")
            header = json.loads(file.read(length))
        found = {}
        for name, about in header.items():
            if name == "__metadata__":
                continue
            start, end = about["data_offsets"]
            entry = Entry(path, about["dtype"], tuple(int(n) for n in about["shape"]), 8 + length + int(start))
            if entry.dtype not in TYPES:
                raise FormatError(f"{path}: tensor '{name}' has type {entry.dtype}; known: {', '.join(TYPES)}")
            if min(entry.shape, default=1) < 0 or start < 0 or end - start != entry.bytes:
                raise FormatError(f"{path}: damaged: tensor '{name}' says {end - start} bytes, its shape {entry.bytes}")
            if 8 + length + end > size:
                raise FormatError(f"{path}: cut short: tensor '{name}' ends at {8 + length + end:,}, "
                                  f"the file at {size:,} bytes")
            found[name] = entry
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FormatError(f"{path}: no safetensors file, or a damaged one ({error})") from None


def write_header(file: BinaryIO, tensors: Mapping[str, tuple[str, tuple[int, ...]]],
                 metadata: Mapping[str, str] | None = None) -> None:
    """The header for `tensors` (type and shape by name); their bytes must follow in this order."""
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    at = 0
    for name, (dtype, shape) in tensors.items():
        size = math.prod(shape) * np.dtype(TYPES[dtype]).itemsize
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)


def write(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> None:
    """`tensors` (float32, float16 or integers) as one file."""
    names = {np.dtype(v): k for k, v in TYPES.items() if k != "BF16"}
    with path.open("wb") as file:
        write_header(file, {k: (names[v.dtype], v.shape) for k, v in tensors.items()}, metadata)
        for value in tensors.values():
            file.write(np.ascontiguousarray(value).tobytes())


def total_bytes(entries: Iterable[Entry]) -> int:
    return sum(e.bytes for e in entries)
