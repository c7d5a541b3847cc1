"""Talking to a board over a serial line: this computer's side of the protocol that `link.c` describes.

`Link` asks again where no answer comes or a frame is damaged; the device does nothing twice.
"""

from __future__ import annotations

import binascii
import random
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import DeviceError
from ..types import Array
from .program import Program, Slot

VERSION = 1
COUNTS = ("", "cycles", "instructions")  # what a board's counter counts; nothing
ERRORS = {1: "a request that it does not know", 2: "a request of the wrong length", 3: "a place outside of a tensor"}
TRIES = 8
_HELLO = struct.Struct("<BBBBHIIQ")
_FOLDER = Path(__file__).parent


class Port(Protocol):
    """A serial port, as pyserial has it. `read` gives what has come after at most `timeout` seconds."""

    timeout: float | None

    def read(self, size: int = 1) -> bytes: ...

    def write(self, data: bytes) -> int | None: ...


@dataclass(frozen=True)
class Hello:
    """What a device says of itself. `clock_hz` and `model` are 0 where it does not know."""

    version: int
    counts: str
    inputs: int
    outputs: int
    body_bytes: int
    arena_bytes: int
    clock_hz: int
    model: int


@dataclass(frozen=True)
class Inference:
    """`count` is of what `Hello.counts` says; `stack_bytes` is 0 where the device does not know."""

    outputs: tuple[Array, ...]  # uint8
    count: int
    stack_bytes: int


def checksum(data: bytes) -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, from 0xFFFF on."""
    return binascii.crc_hqx(data, 0xFFFF)


def encode(data: bytes) -> bytes:
    """COBS, with the zero that ends a frame; for data of less than 254 bytes."""
    return b"".join(bytes([len(part) + 1]) + part for part in data.split(b"\0")) + b"\0"


def decode(frame: bytes) -> bytes | None:
    """What `encode` took, from a frame without its zero; None where it is no such frame."""
    parts, at = [], 0
    while at < len(frame):
        run = frame[at]
        if run == 0 or at + run > len(frame):
            return None
        parts.append(frame[at + 1 : at + run])
        at += run
    return b"\0".join(parts)


class Link:
    """A device at the other end of `port`. `seconds` is how long an answer may take, `run_seconds` an inference."""

    def __init__(self, port: Port, seconds: float = 1.0, run_seconds: float = 30.0, tries: int = TRIES) -> None:
        self._port, self._seconds, self._run_seconds, self._tries = port, seconds, run_seconds, tries
        self._sequence = random.randrange(256)
        self._pending = b""
        self.resent = 0  # requests that were sent again
        self.dropped = 0  # frames that came damaged, or too late

    def hello(self) -> Hello:
        """Who is there. DeviceError where nobody answers, or in another version of the protocol."""
        body = self._ask(b"H", b"", self._seconds)
        if len(body) < _HELLO.size or body[0] != VERSION:
            raise DeviceError(f"the device speaks version {body[:1].hex() or '?'} of the protocol, not {VERSION:02x}: "
                              "flash firmware of this ratti")
        version, counts, *rest = _HELLO.unpack(body[: _HELLO.size])
        return Hello(version, COUNTS[counts] if counts < len(COUNTS) else "", *rest)

    def infer(self, hello: Hello, inputs: Sequence[bytes], output_bytes: Sequence[int]) -> Inference:
        """One inference: a tensor's bytes for each input, the outputs' sizes."""
        room = hello.body_bytes
        for slot, data in enumerate(inputs):
            for at in range(0, len(data), room - 5):
                self._ask(b"W", struct.pack("<BI", slot, at) + data[at : at + room - 5], self._seconds)
        count, stack = struct.unpack("<II", self._ask(b"X", b"", self._run_seconds))
        outputs = []
        for slot, size in enumerate(output_bytes):
            parts = [
                self._ask(b"R", struct.pack("<BIB", slot, at, min(room, size - at)), self._seconds)
                for at in range(0, size, room)
            ]
            outputs.append(np.frombuffer(b"".join(parts), np.uint8))
        return Inference(tuple(outputs), count, stack)

    def _ask(self, kind: bytes, body: bytes, seconds: float) -> bytes:
        self._sequence = (self._sequence + 1) % 256
        payload = kind + bytes([self._sequence]) + body
        frame = encode(payload + struct.pack("<H", checksum(payload)))
        for attempt in range(self._tries):
            self.resent += attempt > 0
            self._send(frame)
            answer = self._receive(kind.lower(), seconds)
            if answer is not None:
                return answer
        raise DeviceError(f"no answer to '{kind.decode()}' after {self._tries} tries of {seconds:g} s: "
                          "is it connected, is the firmware flashed, is the speed right?")

    def _send(self, frame: bytes) -> None:
        try:
            self._port.write(b"\0" + frame)  # the first zero ends whatever noise came before
        except OSError as error:
            raise DeviceError(f"the line is cut: {error.strerror or error}") from None

    def _receive(self, kind: bytes, seconds: float) -> bytes | None:
        """The body of the answer to the last request, or None where none came in time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            frame = self._frame(left)
            if not frame:
                continue
            payload = decode(frame)
            if payload is None or len(payload) < 4 or checksum(payload[:-2]) != int.from_bytes(payload[-2:], "little"):
                self.dropped += 1
                continue
            if payload[1] != self._sequence or payload[:1] not in (kind, b"e"):
                self.dropped += 1
                continue
            if payload[:1] == b"e":
                code = payload[2] if len(payload) > 4 else 0
                raise DeviceError(f"the device refused {ERRORS.get(code, f'with code {code}')}")
            return payload[2:-2]
        return None

    def _frame(self, seconds: float) -> bytes:
        """The next frame without its zero; empty where none is complete yet."""
        if b"\0" not in self._pending:
            self._port.timeout = min(seconds, 0.1)
            try:
                self._pending += self._port.read(1) + self._port.read(getattr(self._port, "in_waiting", 0))
            except OSError as error:  # pyserial's SerialException is one
                raise DeviceError(f"the line is cut: {error.strerror or error}") from None
        frame, zero, rest = self._pending.partition(b"\0")
        if not zero:
            return b""
        self._pending = rest
        return frame


def sources(program: Program, name: str, model: int) -> Mapping[str, str]:
    """What firmware needs beside the model's own files: the protocol, and `<name>_serve`, which polls for good.

    `model` is the number by which the device says which model it is.
    """
    inputs, outputs = program.inputs, program.outputs
    slots = ", ".join(f"{{{s.offset_bytes}, {s.bytes}}}" for s in (*inputs, *outputs))
    text = f"""/* {name} behind a serial line: call {name}_serve(arena) from main, once the board's port is open. */
#include "ratti_link.h"

#include "{name}.h"

void {name}_serve(int8_t *arena);

static const ratti_link_slot slots[] = {{{slots}}};
static const ratti_link_model model = {{
    {program.entry}, {program.arena_bytes}, {{0x{model & 0xFFFFFFFF:08x}u, 0x{model >> 32:08x}u}},
    {len(inputs)}, {len(outputs)}, slots,
}};

void {name}_serve(int8_t *arena)
{{
    for (;;)
        ratti_link_poll(&model, arena);
}}
"""
    own = {f"ratti_link.{end}": (_FOLDER / f"link.{end}").read_text(encoding="utf-8") for end in "ch"}
    return {**own, f"{name}_link.c": text}


def serving(program: Program, name: str, model: int, board: Mapping[str, str], main: bool = False) -> Program:
    """Firmware that serves `program` over the line of a `board`: the C files with the board's functions.

    With `main` it does so from reset on, and calls `void ratti_board_start(void)` of the board first.
    """
    files = {**program.sources, **sources(program, name, model), **board}
    if main:
        files["board_main.c"] = _MAIN.format(name=name)
    return Program(files, f"{name}_serve", program.arena_bytes, (Slot(0, 1),), (Slot(0, 1),), ("serve",))


_MAIN = """#include "ratti_link.h"

extern int8_t ratti_arena[];
void ratti_board_start(void);
void {name}_serve(int8_t *arena);

int main(void)
{{
    ratti_board_start();
    {name}_serve(ratti_arena);
}}
"""
