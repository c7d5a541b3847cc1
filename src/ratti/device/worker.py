"""The emulator's own process: `python -m ratti.device.worker`. Protocol, on standard input and output:

A frame is two little-endian uint32 (bytes of text, bytes of data), UTF-8 JSON, then raw data. The parent sends a
request, the worker answers with one frame, until standard input ends. Requests (field "do"):

    run     runs firmware. Text: arch, model, hook (path of the native hook), memory [{origin, bytes, kind}],
            segments [[address, bytes]], code_start, code_bytes, stack [bottom, top], reset, idle, entry, entry_end,
            arena (addresses), inputs and outputs [[offset, bytes]], n_segments, n_inferences, seconds (per inference).
            Data: the segments, then all inputs of the first inference, of the second, ...
            Answer: instructions (a list by segment for each inference), stack_bytes, blocks
            [[address, bytes, instructions, [[segment, times, falls], ...]], ...] of the first inference.
            Data: all outputs of the first inference, of the second, ...

An answer with "fault" tells what the firmware did wrong, one with "broken" what went wrong here. Nothing is pickled, no
file but the hook is opened.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import Any, BinaryIO

HEADER = struct.Struct("<II")


def send(stream: BinaryIO, text: dict[str, Any], data: bytes = b"") -> None:
    """Write one frame."""
    encoded = json.dumps(text).encode()
    stream.write(HEADER.pack(len(encoded), len(data)) + encoded + data)
    stream.flush()


def receive(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
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
    from .machine import FaultError, Machine

    at = sum(size for _, size in job["segments"])
    try:
        machine = Machine(job, data[:at], job["hook"])
    except FaultError as fault:
        return {"fault": {**fault.details, "during": "start-up"}}, b""
    instructions, outputs, blocks = [], [], []
    try:
        for inference in range(job["n_inferences"]):
            values = []
            for _, size in job["inputs"]:
                values.append(data[at : at + size])
                at += size
            outputs += machine.run(values)
            instructions.append(machine.instructions())
            if inference == 0:
                blocks = [[b.address, b.bytes, b.instructions, cells] for b, cells in machine.blocks()]
        answer = {"instructions": instructions, "stack_bytes": machine.stack_bytes(), "blocks": blocks}
    except FaultError as fault:
        return {"fault": {**fault.details, "during": f"inference {len(instructions)}"}}, b""
    finally:
        machine.close()
    return answer, b"".join(outputs)


REQUESTS = {"run": run}


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
