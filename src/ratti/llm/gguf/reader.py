"""Reads a GGUF file: metadata into memory, tensors mapped. Every offset and size is checked against the file."""

from __future__ import annotations

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import FormatError, InputError, MissingDependencyError, UnsupportedError
from ...types import Array

MAGIC = b"GGUF"
VERSIONS = (2, 3)
STRING, ARRAY = 8, 9
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
MOST_DIMENSIONS = 4
DEFAULT_ALIGNMENT = 32


@dataclass(frozen=True)
class Value:
    """A metadata value with its GGUF type; strings are bytes, an array has the type of its elements beside it."""

    type: int
    value: Any
    element: int | None = None

    @property
    def plain(self) -> Any:
        """The value with strings decoded."""
        if self.type == STRING:
            return self.value.decode("utf-8", "replace")
        if self.element == STRING:
            return [v.decode("utf-8", "replace") for v in self.value]
        return self.value


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies. `shape` is (rows, columns) or (columns,); `type` is GGUF's number."""

    name: str
    shape: tuple[int, ...]
    type: int
    offset: int  # in the file
    bytes: int


@dataclass(frozen=True)
class GgufFile:
    """An open GGUF file."""

    path: Path
    metadata: dict[str, Value]
    tensors: tuple[TensorEntry, ...]

    def get(self, key: str, default: Any = None) -> Any:
        """A metadata value, strings decoded; `{arch}` in the key stands for the architecture."""
        if "{arch}" in key:
            key = key.replace("{arch}", str(self.get("general.architecture", "")))
        return self.metadata[key].plain if key in self.metadata else default

    def raw(self, tensor: TensorEntry) -> Array:
        """The bytes of a tensor, uint8 (rows, bytes of a row), mapped."""
        rows = math.prod(tensor.shape[:-1])
        return np.memmap(self.path, np.uint8, "r", tensor.offset, (rows, tensor.bytes // rows))

    def float32(self, tensor: TensorEntry) -> Array:
        """A tensor as float32."""
        from .. import quants

        kind = quants.by_id(tensor.type)
        if kind is None:
            raise UnsupportedError(f"{self.path}: tensor '{tensor.name}': unknown block type {tensor.type}")
        return kind.dequantize(np.asarray(self.raw(tensor))).reshape(tensor.shape)


def open_gguf(path: Path) -> GgufFile:
    """The file at `path`.

    Raises:
        InputError: no file.
        FormatError: no GGUF file, a damaged one, or one that is cut short.
    """
    if not path.is_file():
        raise InputError(f"{path}: no file; give a .gguf (ratti llm convert makes one)")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Cursor(path, data).file()
    except (struct.error, ValueError, OverflowError) as error:
        raise FormatError(f"{path}: no GGUF file, or a damaged one ({error})") from None


class _Cursor:
    """Walks through the header."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path, self.data, self.at = path, data, 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise FormatError(f"{self.path}: cut short: the header ends at {self.at + size:,}, "
                              f"the file at {len(self.data):,} bytes")
        self.at += size
        return self.data[self.at - size : self.at]

    def scalar(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def string(self) -> bytes:
        return self.take(self.scalar("<Q"))

    def value(self) -> Value:
        kind = self.scalar("<I")
        if kind == STRING:
            return Value(kind, self.string())
        if kind == ARRAY:
            element, count = self.scalar("<I"), self.scalar("<Q")
            if element == STRING:
                if count > len(self.data) // 8:
                    raise FormatError(f"{self.path}: damaged: an array of {count:,} strings")
                return Value(kind, [self.string() for _ in range(count)], element)
            form = self._form(element)
            data = self.take(count * struct.calcsize(form))
            return Value(kind, list(np.frombuffer(data, form.replace("?", "u1")).tolist()), element)
        return Value(kind, self.scalar(self._form(kind)))

    def _form(self, kind: int) -> str:
        if kind not in SCALARS:
            raise FormatError(f"{self.path}: damaged: a value of type {kind}")
        return SCALARS[kind]

    def file(self) -> GgufFile:
        if self.take(4) != MAGIC:
            raise FormatError(f"{self.path}: no GGUF file (it begins with {self.data[:4]!r})")
        version = self.scalar("<I")
        if version not in VERSIONS:
            raise FormatError(f"{self.path}: GGUF version {version}; known: {', '.join(map(str, VERSIONS))}")
        tensor_count, value_count = self.scalar("<Q"), self.scalar("<Q")
        if max(tensor_count, value_count) > len(self.data) // 8:
            raise FormatError(f"{self.path}: damaged: {tensor_count:,} tensors and {value_count:,} values")
        metadata = {self.string().decode("utf-8", "replace"): self.value() for _ in range(value_count)}
        alignment = int(metadata["general.alignment"].value) if "general.alignment" in metadata else DEFAULT_ALIGNMENT
        if alignment < 1 or alignment & (alignment - 1):
            raise FormatError(f"{self.path}: damaged: an alignment of {alignment}")
        heads = [self._tensor_head() for _ in range(tensor_count)]
        start = -(-self.at // alignment) * alignment
        return GgufFile(self.path, metadata, tuple(self._tensor(start, *head) for head in heads))

    def _tensor_head(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self.string().decode("utf-8", "replace"), self.scalar("<I")
        if not 1 <= dimensions <= MOST_DIMENSIONS:
            raise FormatError(f"{self.path}: damaged: tensor '{name}' has {dimensions} dimensions")
        shape = tuple(self.scalar("<Q") for _ in range(dimensions))[::-1]
        return name, shape, self.scalar("<I"), self.scalar("<Q")

    def _tensor(self, start: int, name: str, shape: tuple[int, ...], kind: int, offset: int) -> TensorEntry:
        weights, size = _block(kind, self.path)
        if 0 in shape or shape[-1] % weights:
            raise FormatError(f"{self.path}: damaged: tensor '{name}' of shape {list(shape)} in blocks of {weights}")
        total = math.prod(shape) // weights * size
        if start + offset + total > len(self.data):
            raise FormatError(f"{self.path}: cut short: tensor '{name}' ends at {start + offset + total:,}, "
                              f"the file at {len(self.data):,} bytes")
        return TensorEntry(name, shape, kind, start + offset, total)


def _block(kind: int, path: Path) -> tuple[int, int]:
    """(weights, bytes) of a block of GGUF's type `kind`."""
    try:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
    except ImportError:
        raise MissingDependencyError("gguf", "llm", "GGUF files") from None
    try:
        weights, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    except (ValueError, KeyError):
        raise FormatError(f"{path}: damaged, or newer than this program: block type {kind}") from None
    return weights, size
