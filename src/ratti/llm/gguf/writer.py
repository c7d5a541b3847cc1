"""Writes a GGUF file tensor by tensor with the `gguf` package, under a temporary name until it is whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import MissingDependencyError
from ...types import Array
from ..files import replacing
from ..quants import BlockType
from .reader import Value

HEADER_ROOM_BYTES = 1 << 24  # for metadata, when asking whether the disk has room


@dataclass(frozen=True)
class TensorPlan:
    """A tensor to write: its name, shape (rows, columns) or (columns,), and block type."""

    name: str
    shape: tuple[int, ...]
    type: BlockType

    @property
    def bytes(self) -> int:
        return self.type.size(self.shape)


def write(path: Path, metadata: Mapping[str, Any], tensors: Sequence[TensorPlan],
          data: Callable[[TensorPlan], Iterable[Array]]) -> None:
    """Writes `path` whole or not at all.

    Args:
        metadata: plain values (their type follows from Python's) or `Value`s as read; `general.architecture` in it.
        data: the bytes of a tensor, in pieces of uint8, in order.

    Raises:
        InputError: the disk has too little room, or fills on the way.
    """
    try:
        import gguf
    except ImportError:
        raise MissingDependencyError("gguf", "llm", "writing GGUF files") from None
    total = sum(t.bytes for t in tensors)
    with replacing(path, total + HEADER_ROOM_BYTES) as part:
        writer = gguf.GGUFWriter(part, _text(metadata["general.architecture"]))
        try:
            for key, value in metadata.items():
                if key != "general.architecture":
                    _add(writer, key, value)
            for t in tensors:
                raw = gguf.GGMLQuantizationType(t.type.id)
                writer.add_tensor_info(t.name, t.shape, np.dtype(np.float32), t.bytes, raw)
            writer.write_header_to_file(part)
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            assert writer.fout is not None  # opened by the header
            file = writer.fout[0]
            _pad(file)
            for t in tensors:
                written = 0
                for piece in data(t):
                    file.write(np.ascontiguousarray(piece).data)
                    written += piece.nbytes
                if written != t.bytes:
                    raise ValueError(f"tensor {t.name}: {written} bytes instead of {t.bytes}")
                _pad(file)
            file.flush()
        finally:
            if writer.fout:
                writer.fout[0].close()


def _pad(file: Any) -> None:
    from .reader import DEFAULT_ALIGNMENT

    file.write(b"\0" * (-file.tell() % DEFAULT_ALIGNMENT))


def _text(value: Any) -> str:
    return str(value.plain) if isinstance(value, Value) else str(value)


def _add(writer: Any, key: str, value: Any) -> None:
    """One metadata value with its GGUF type."""
    from gguf import GGUFValueType as Kind

    if isinstance(value, Value):
        element = Kind(value.element) if value.element is not None else None
        if value.element is None or value.value:  # an empty array has no type to write
            writer.add_key_value(key, value.value, Kind(value.type), element)
    elif isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def pieces(rows: int, columns: int, weights: int = 1 << 21) -> Iterator[slice]:
    """Slices of rows of about `weights` weights, to work on a large matrix in bounded memory."""
    step = max(1, weights // columns)
    for at in range(0, rows, step):
        yield slice(at, min(at + step, rows))


def row_count(shape: tuple[int, ...]) -> int:
    return math.prod(shape[:-1])
