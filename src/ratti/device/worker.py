"""The emulator's own process: `python -m ratti.device.worker`. Protocol, on standard input and output:

A frame is two little-endian uint32 (bytes of text, bytes of data), UTF-8 JSON, then raw data. The parent sends a
request, the worker answers with one frame, until standard input ends. Requests (field "do"):

    run     runs firmware. Text: arch, model, core; board (QEMU's; empty: in unicorn); hook (path of the native hook
            or plugin), firmware (path of the ELF file, for QEMU); memory [{origin, bytes, kind, code}],
            segments [[address, bytes]], code_start, code_bytes, stack [bottom, top]; reset, idle, entry, entry_end,
            arena (addresses); inputs and outputs [[offset, bytes]], n_segments, n_inferences, seconds (per inference);
            flash (null, or [start, bytes, wait_states, read_bytes, prefetch, line_bytes, code_lines, data_lines]),
            watch (null, "flash", or "all" to find misaligned accesses too).
            Data: the segments, then all inputs of the first inference, of the second, ...
            Answer: instructions (a list by segment for each inference), stack_bytes; and of the first inference: blocks
            [[address, bytes, instructions, [[segment, times, falls], ...]], ...], cycles ({low, high, source} by
            segment or {reason}), stalls (cycles of waiting for flash by segment, or null).
            Data: all outputs of the first inference, of the second, ...
    check   looks for instructions that the target does not have. Text: isa, ranges [[address, bytes]]. Data: the code.
            Answer: foreign [[address, instruction], ...].

An answer with "fault" tells what the firmware did wrong, one with "broken" what went wrong here. Nothing is pickled, no
file but the hook and, by QEMU, the firmware is opened.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from contextlib import closing
from typing import IO, Any

HEADER = struct.Struct("<II")


def send(stream: IO[bytes], text: dict[str, Any], data: bytes = b"") -> None:
    """Write one frame."""
    encoded = json.dumps(text).encode()
    stream.write(HEADER.pack(len(encoded), len(data)) + encoded + data)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], bytes] | None:
    """Read one frame; None where the other side has closed."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    text_bytes, data_bytes = HEADER.unpack(header)
    text, data = stream.read(text_bytes), stream.read(data_bytes)
    if len(text) < text_bytes or len(data) < data_bytes:
        return None
    return json.loads(text), data


def run(job: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Answer the request `run`."""
    from . import pricing
    from .machine import FaultError, Machine
    from .qemu import QemuMachine

    at = sum(size for _, size in job["segments"])
    contents, outputs, instructions = data[:at], [], []
    answer: dict[str, Any] = {"stalls": None}
    during = "start-up"
    try:
        with closing(QemuMachine(job, contents) if job["board"] else Machine(job, contents)) as machine:
            first = values = _inputs(job, data, at)
            for inference in range(job["n_inferences"]):
                during = f"inference {inference}"
                outputs += machine.run(values)
                instructions.append(machine.instructions())
                if inference == 0:
                    answer["cycles"] = pricing.segments(machine, job["core"])
                    answer["blocks"] = [[b.address, b.bytes, b.instructions, c] for b, c in machine.blocks()]
                at += sum(map(len, values))
                values = _inputs(job, data, at)
            answer["instructions"], answer["stack_bytes"] = instructions, machine.stack_bytes()
        if job["watch"]:
            during = "inference 0"
            answer["stalls"] = _watched(job, contents, first, instructions[0])
    except FaultError as fault:
        return {"fault": {**fault.details, "during": during}}, b""
    return answer, b"".join(outputs)


def check(job: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Answer the request `check`."""
    from .isa import foreign

    pieces, at = [], 0
    for address, size in job["ranges"]:
        pieces.append((address, data[at : at + size]))
        at += size
    return {"foreign": foreign(job["isa"], pieces)}, b""


def _watched(job: dict[str, Any], contents: bytes, values: list[bytes], expected: list[int]) -> list[int] | None:
    """Run once more, slowly, with the accesses to memory in view: cycles of waiting for flash by segment."""
    from .machine import Machine

    everything, flash = (1, 0), job["flash"]
    watch = everything if job["watch"] == "all" else (flash[0], flash[0] + flash[1] - 1)
    with closing(Machine(job, contents, watch)) as machine:
        machine.run(values)
        if machine.instructions() != expected:
            raise RuntimeError("a watched run counts other instructions than a plain one")
        return machine.stalls() if flash else None


def _inputs(job: dict[str, Any], data: bytes, at: int) -> list[bytes]:
    values = []
    for _, size in job["inputs"]:
        values.append(data[at : at + size])
        at += size
    return values


REQUESTS = {"run": run, "check": check}


def main() -> None:
    """Serve requests until standard input ends."""
    incoming = sys.stdin.buffer
    outgoing = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing that prints may reach the protocol
    while (frame := receive(incoming)) is not None:
        text, data = frame
        try:
            answer, blob = REQUESTS[text["do"]](text, data)
        except Exception as error:  # the parent turns it into an EmulationError
            answer, blob = {"broken": f"{type(error).__name__}: {error}"}, b""
        send(outgoing, answer, blob)


if __name__ == "__main__":
    main()
