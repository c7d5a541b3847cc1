"""The part of GDB's remote protocol that drives a stopped emulator: memory, registers, continue, interrupt.

Source: GDB manual, appendix "Remote Protocol" (packets `$text#checksum`, answers acknowledged by `+`).
"""

from __future__ import annotations

import os
import re
import select
import time
from typing import IO

MOST_BYTES = 1024  # of memory in a packet; QEMU's buffer holds 4096 characters
STOP = b"\x03"


class GdbError(Exception):
    """The other side refused, fell silent or closed."""


class Gdb:
    """A connection over two streams (unbuffered). Addresses are those of the emulated processor."""

    def __init__(self, to: IO[bytes], back: IO[bytes]) -> None:
        self._to, self._back, self._unread = to, back, bytearray()
        self._ask("?")
        self._ask("qXfer:features:read:target.xml:0,ffb")  # QEMU gives single registers to those who know their numbers

    def write(self, address: int, data: bytes) -> None:
        for at in range(0, len(data), MOST_BYTES):
            piece = data[at : at + MOST_BYTES]
            self._must(f"M{address + at:x},{len(piece):x}:{piece.hex()}")

    def read(self, address: int, size: int) -> bytes:
        pieces = []
        for at in range(0, size, MOST_BYTES):
            answer = self._ask(f"m{address + at:x},{min(MOST_BYTES, size - at):x}")
            if answer.startswith("E"):
                raise GdbError(f"no memory at {address + at:#x}")
            pieces.append(bytes.fromhex(answer))
        return b"".join(pieces)

    def set_register(self, number: int, value: int) -> None:
        self._must(f"P{number:x}={value.to_bytes(4, 'little').hex()}")

    def register(self, number: int) -> int:
        return int.from_bytes(bytes.fromhex(self._ask(f"p{number:x}"))[:4], "little")

    def resume(self) -> None:
        """Let the processor run; nothing else may be asked until `interrupt`."""
        self._send("c")

    def interrupt(self) -> str:
        """Stop the processor and return why it stopped, which may be an event before."""
        self._to.write(STOP)
        self._to.flush()
        return self._receive()

    def _must(self, text: str) -> None:
        answer = self._ask(text)
        if answer != "OK":
            raise GdbError(f"'{text[:20]}' was answered by '{answer[:40]}'")

    def _ask(self, text: str) -> str:
        self._send(text)
        return self._receive()

    def _send(self, text: str) -> None:
        raw = text.encode()
        self._to.write(b"$" + raw + b"#" + f"{sum(raw) % 256:02x}".encode())
        self._to.flush()

    def _receive(self, seconds: float = 10.0) -> str:
        """The text of the next packet, acknowledged, its run lengths resolved."""
        deadline = time.monotonic() + seconds
        while True:
            start, end = self._unread.find(b"$"), self._unread.find(b"#")
            if 0 <= start < end and end + 3 <= len(self._unread):
                break
            self._fetch(deadline)
        text = bytes(self._unread[start + 1 : end])
        del self._unread[: end + 3]
        self._to.write(b"+")
        self._to.flush()
        runs = re.sub(rb"(.)\*(.)", lambda m: m[1] * (m[2][0] - 28), text, flags=re.DOTALL)
        return runs.decode("latin-1")

    def _fetch(self, deadline: float) -> None:
        ready, _, _ = select.select([self._back], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise GdbError("the emulator does not answer")
        some = os.read(self._back.fileno(), 1 << 16)
        if not some:
            raise GdbError("the emulator has ended")
        self._unread += some
