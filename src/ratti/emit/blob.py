"""Weights apart from the code: one block of bytes that is linked, flashed and updated by itself.

The block is the struct `<name>_weights` as a little-endian processor holds it: a header, then every table of the
kernels (weights, channel constants, lookup tables). The header says which code it was made for, so that a block of
another net, of an older net or half a download is refused before anything is computed with it.

    offset  field
    0       magic, "rttw"
    4       version of this format, 1
    8       interface: hash of the code that the block belongs to (64 bits)
    16      content: hash of the tables (64 bits): which weights these are
    24      bytes of the whole block
    28      CRC-32 (IEEE 802.3) of everything behind the header and of the 28 bytes before this field
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels import Table
from ..kernels.base import RECORD_BYTES
from ..types import Array
from ._text import wrap

MAGIC, VERSION = b"rttw", 1
HEADER = struct.Struct("<4sIQQII")
ALIGN = 8  # of the block and, by padding, of its size
TABLE_ALIGN = 4  # kernels may read words of bytes
STATUS = ("OK", "ABSENT", "FORMAT", "FOREIGN", "TRUNCATED", "BROKEN", "MISALIGNED")
_WIDE = np.dtype([("bias", "<i8"), ("multiplier", "<i4"), ("shift", "<i4")])  # ratti_wide_channel


@dataclass(frozen=True)
class Member:
    """A table in the block: `count` elements of `ctype`, with padding."""

    name: str
    ctype: str
    count: int
    data: bytes


def members(tables: Mapping[str, Table]) -> list[Member]:
    """The tables in the order in which they lie: those of 64-bit fields first, so that no compiler pads."""
    found = [_member(name, table) for name, table in tables.items()]
    return sorted(found, key=lambda m: m.ctype not in RECORD_BYTES)


def _member(name: str, table: Table) -> Member:
    data = table.data
    if table.ctype in RECORD_BYTES:
        records = np.empty(len(data), _WIDE)
        for column, field in enumerate(_WIDE.names or ()):
            records[field] = data[:, column]
        return Member(name, table.ctype, len(records), records.tobytes())
    if data.ndim == 2:
        return Member(name, table.ctype, len(data), data.astype("<i4").tobytes())
    size = table.bytes // max(data.size, 1)
    sign = "u" if table.ctype.startswith("u") else "i"
    raw = data.astype(f"<{sign}{size}").tobytes()
    raw += bytes(-len(raw) % TABLE_ALIGN)
    return Member(name, table.ctype, len(raw) // size, raw)


def block(found: Sequence[Member], interface: int) -> bytes:
    """The bytes of the block for the code with the hash `interface`."""
    body = b"".join(m.data for m in found)
    body += bytes(-(HEADER.size + len(body)) % ALIGN)
    content = int.from_bytes(hashlib.sha256(body).digest()[:8], "little")
    head = HEADER.pack(MAGIC, VERSION, interface, content, HEADER.size + len(body), 0)[:-4]
    return head + struct.pack("<I", zlib.crc32(head, zlib.crc32(body))) + body


def made_for(data: bytes) -> int | None:
    """The hash of the code that a block belongs to; None where `data` begins no block of this format."""
    if len(data) < HEADER.size:
        return None
    magic, version, interface, *_ = HEADER.unpack_from(data)
    return int(interface) if (magic, version) == (MAGIC, VERSION) else None


def interface(*texts: str) -> int:
    """The hash of the code that reads a block."""
    return int.from_bytes(hashlib.sha256("\0".join(texts).encode()).digest()[:8], "little")


def declarations(name: str, bytes_: int, number: str) -> str:
    """What `<name>.h` says of the block; `number` is the hash of the code, as text."""
    prefix = name.upper()
    states = "\n".join(f"    {prefix}_{status} = {k},{_ABOUT[status]}" for k, status in enumerate(STATUS))
    return f"""
/* The weights are a block of their own, {name}_weights.bin: in flash wherever you like, aligned to {ALIGN} bytes. */
#define {prefix}_WEIGHTS_BYTES {bytes_}u
#define {prefix}_INTERFACE {number} /* of this code: only blocks with the same number fit it */

typedef struct {name}_weights {name}_weights;

enum {{
{states}
}};
"""


_ABOUT = {
    "OK": "",
    "ABSENT": " /* no block begins here */",
    "FORMAT": " /* a version of the format that this code does not know */",
    "FOREIGN": " /* weights of another net, or for other code */",
    "TRUNCATED": " /* longer than the room for it */",
    "BROKEN": " /* the checksum differs: damaged on the way */",
    "MISALIGNED": f" /* not at a multiple of {ALIGN} */",
}


def opening(name: str, found: Sequence[Member]) -> str:
    """The struct and `<name>_open`."""
    fields = [f"    {m.ctype} {m.name}[{m.count}];" for m in found]
    used = HEADER.size + sum(len(m.data) for m in found)
    if -used % ALIGN:
        fields.append(f"    uint8_t padding[{-used % ALIGN}];")
    return _OPEN.format(name=name, prefix=name.upper(), fields="\n".join(fields))


_OPEN = """struct {name}_weights {{
    uint32_t magic, version, interface[2], content[2], bytes, checksum;
{fields}
}};

typedef char {name}_weights_are_laid_out_as_expected[sizeof({name}_weights) == {prefix}_WEIGHTS_BYTES ? 1 : -1];

/* CRC-32 of IEEE 802.3, four bits at a time. */
static RATTI_NOINLINE uint32_t ratti_crc32(uint32_t crc, const uint8_t *bytes, uint32_t count)
{{
    static const uint32_t table[16] = {{
        0x00000000u, 0x1db71064u, 0x3b6e20c8u, 0x26d930acu, 0x76dc4190u, 0x6b6b51f4u, 0x4db26158u, 0x5005713cu,
        0xedb88320u, 0xf00f9344u, 0xd6d6a3e8u, 0xcb61b38cu, 0x9b64c2b0u, 0x86d3d2d4u, 0xa00ae278u, 0xbdbdf21cu,
    }};
    const uint8_t *const end = bytes + count;
    crc = ~crc;
    RATTI_ROLLED
    while (bytes != end) {{
        crc ^= *bytes++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }}
    return ~crc;
}}

int {name}_open(const void *block, uint32_t room, const {name}_weights **weights)
{{
    const {name}_weights *w = (const {name}_weights *)block;
    const uint32_t head = offsetof(struct {name}_weights, checksum), body = head + 4;
    uint32_t crc;
    *weights = 0;
    if (((uintptr_t)block & {align}) != 0)
        return {prefix}_MISALIGNED;
    if (room < body)
        return {prefix}_TRUNCATED;
    if (w->magic != 0x77747472u)
        return {prefix}_ABSENT;
    if (w->version != 1)
        return {prefix}_FORMAT;
    if (w->interface[0] != (uint32_t){prefix}_INTERFACE || w->interface[1] != (uint32_t)({prefix}_INTERFACE >> 32) ||
        w->bytes != {prefix}_WEIGHTS_BYTES)
        return {prefix}_FOREIGN;
    if (w->bytes > room)
        return {prefix}_TRUNCATED;
    crc = ratti_crc32(0, (const uint8_t *)block + body, w->bytes - body);
    if (ratti_crc32(crc, (const uint8_t *)block, head) != w->checksum)
        return {prefix}_BROKEN;
    *weights = w;
    return {prefix}_OK;
}}
""".replace("{align}", str(ALIGN - 1))


def linkable(name: str, data: bytes) -> str:
    """`<name>_weights.c`: the block as an array, for a linker that is to place it."""
    words: Array = np.frombuffer(data, "<u8")
    items = wrap("    ", [f"0x{v:016x}u" for v in words.tolist()], ",", 112)
    return f"""/* The weights of {name}, for linking; as in {name}_weights.bin. For little-endian processors.

   Give it a place of its own (-D{name.upper()}_PLACE='__attribute__((section(".weights")))' and that section in the
   linker script): then new weights are flashed there and the code stays. */
#include <stdint.h>

#ifndef {name.upper()}_PLACE
#define {name.upper()}_PLACE
#endif

extern const uint64_t {name}_block[{len(words)}];
{name.upper()}_PLACE const uint64_t {name}_block[{len(words)}] = {{
{items}
}};
"""
