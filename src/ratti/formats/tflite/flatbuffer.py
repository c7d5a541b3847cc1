"""FlatBuffers by schema table: a reader that checks every offset, and a writer. Tables are dicts.

The file is untrusted: each offset, vtable, vector and string is held against the buffer's end before it is
followed. Vectors of numbers are views, not copies, and the number of decoded tables is bounded by the file's size, so
that references which repeat or overlap cost neither time nor memory. No table of the schema holds itself: nesting ends.
Format: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np

from ...errors import FormatError
from .schema import FILE_IDENTIFIER, OPTIONS, TABLES, defaults

SCALARS = {"bool": "?", "i8": "b", "u8": "B", "i32": "i", "u32": "I", "i64": "q", "u64": "Q", "f32": "f"}
_NUMPY = {"i8": "<i1", "u8": "<u1", "i32": "<i4", "u32": "<u4", "i64": "<i8", "f32": "<f4"}
_LONGEST_STRING = 256  # bytes of a string that are kept, the last ones


class Reader:
    """Decodes one buffer. Any damage raises FormatError with the byte offset."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._tables_left = len(data) // 4  # a table and the reference to it take 8 bytes

    def root(self, table: str) -> dict[str, Any]:
        if len(self._data) < 8 or self._data[4:8] != FILE_IDENTIFIER:
            what = "the file is empty" if not self._data else "the identifier TFL3 is missing at byte 4"
            raise FormatError(f"not a TFLite file: {what}")
        return self._table(table, self._offset(0))

    def _scalar(self, kind: str, at: int) -> Any:
        code = SCALARS[kind]
        size = struct.calcsize(code)
        if at < 0 or at + size > len(self._data):
            raise FormatError(f"damaged file: a value at byte {at} lies outside the {len(self._data)} bytes")
        return struct.unpack_from("<" + code, self._data, at)[0]

    def _offset(self, at: int) -> int:
        """The target of the forward reference at `at`."""
        distance = self._scalar("u32", at)
        target = at + int(distance)
        if distance == 0 or target >= len(self._data):
            raise FormatError(f"damaged file: the reference at byte {at} points to byte {target}")
        return target

    def _table(self, name: str, at: int) -> dict[str, Any]:
        self._tables_left -= 1
        if self._tables_left < 0:
            raise FormatError(f"damaged file: more tables than {len(self._data)} bytes can hold, at byte {at}")
        vtable = at - int(self._scalar("i32", at))
        length = int(struct.unpack_from("<H", self._data, vtable)[0]) if 0 <= vtable <= len(self._data) - 4 else 0
        if length < 4 or length % 2 or vtable + length > len(self._data):
            raise FormatError(f"damaged file: the table at byte {at} has no valid field list")
        out = defaults(name)
        for slot, (field, kind, _) in enumerate(TABLES[name]):
            entry = vtable + 4 + 2 * slot
            if kind == "skip" or entry + 2 > vtable + length:
                continue
            distance = struct.unpack_from("<H", self._data, entry)[0]
            if distance == 0:
                continue
            if kind == "union":
                member = OPTIONS.get(out[field + "_type"])
                if member is not None:
                    out[field] = self._table(member, self._offset(at + distance))
            else:
                out[field] = self._field(kind, at + distance)
        return out

    def _field(self, kind: str, at: int) -> Any:
        if kind in SCALARS:
            return self._scalar(kind, at)
        target = self._offset(at)
        if kind == "string":
            return str(self._vector_bytes(target, 1)[-_LONGEST_STRING:], "utf-8", "replace")
        if not kind.startswith("["):
            return self._table(kind, target)
        element = kind[1:-1]
        if element in _NUMPY:
            dtype = np.dtype(_NUMPY[element])
            return np.frombuffer(self._vector_bytes(target, dtype.itemsize), dtype)
        count = len(self._vector_bytes(target, 4)) // 4
        return [self._table(element, self._offset(target + 4 + 4 * k)) for k in range(count)]

    def _vector_bytes(self, at: int, element_bytes: int) -> memoryview:
        count = int(self._scalar("u32", at))
        end = at + 4 + count * element_bytes
        if end > len(self._data):
            raise FormatError(f"damaged file: the vector at byte {at} claims {count} elements, past the end")
        return self._data[at + 4 : end]


def write(table: str, content: Mapping[str, Any]) -> bytes:
    """The bytes of a buffer whose root is `content`; the same content always gives the same bytes."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_write_table(builder, table, content), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def _write_table(builder: Any, table: str, content: Mapping[str, Any]) -> int:
    unknown = set(content) - {name for name, _, _ in TABLES[table]}
    if unknown:
        raise ValueError(f"table {table} has no field {sorted(unknown)[0]}")
    children: dict[int, int] = {}
    for slot, (name, kind, _) in enumerate(TABLES[table]):
        if name in content and kind not in SCALARS:
            member = OPTIONS[content[name + "_type"]] if kind == "union" else kind
            children[slot] = _write_child(builder, member, content[name])
    builder.StartObject(len(TABLES[table]))
    for slot, (name, kind, default) in enumerate(TABLES[table]):
        if slot in children:
            builder.PrependUOffsetTRelativeSlot(slot, children[slot], 0)
        elif name in content:
            _SLOTS[kind](builder, slot, content[name], default)
    return int(builder.EndObject())


def _write_child(builder: Any, kind: str, value: Any) -> int:
    if kind == "string":
        return int(builder.CreateString(value))
    if not kind.startswith("["):
        return _write_table(builder, kind, value)
    element = kind[1:-1]
    if element in _NUMPY:
        raw = np.ascontiguousarray(value, dtype=_NUMPY[element]).tobytes()
        size = np.dtype(_NUMPY[element]).itemsize
        # 16: readers map weights in place and may load them as vectors.
        builder.StartVector(size, len(raw) // size, 16 if element == "u8" else size)
        builder.head -= len(raw)
        builder.Bytes[builder.head : builder.head + len(raw)] = raw
        return int(builder.EndVector())
    offsets = [_write_table(builder, element, v) for v in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


_SLOTS = {
    "bool": flatbuffers.Builder.PrependBoolSlot,
    "i8": flatbuffers.Builder.PrependInt8Slot,
    "u8": flatbuffers.Builder.PrependUint8Slot,
    "i32": flatbuffers.Builder.PrependInt32Slot,
    "u32": flatbuffers.Builder.PrependUint32Slot,
    "i64": flatbuffers.Builder.PrependInt64Slot,
    "u64": flatbuffers.Builder.PrependUint64Slot,
    "f32": flatbuffers.Builder.PrependFloat32Slot,
}
