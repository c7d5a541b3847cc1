"""An emulated part at the other end of a pseudo-terminal: its firmware talks to whoever opens it, as a board would.

`Board` starts a process of its own (`python -m ratti.device.uart`), which holds the emulator. The part has one device
more than it has on silicon, at an address that no part uses: a serial port, and a counter of instructions.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from ..errors import EmulationError, UnsupportedError
from . import cores, emulator, faults
from .toolchain import Firmware
from .worker import receive, send

BASE = 0xF0000000
FOREVER = 1e9  # seconds
SLICE = 0.02  # seconds that the part waits for a byte before its loop goes round once more

# The part's functions for `link.h`.
SOURCES = {
    "board_emulated.c": f"""#include "ratti_link.h"

#define PORT ((volatile uint32_t *){BASE:#x}u)
extern int8_t __stack_bottom[];

int ratti_board_read(void) {{ return (int)PORT[0]; }}
void ratti_board_write(uint8_t byte) {{ PORT[1] = byte; }}
uint32_t ratti_board_count(void) {{ return PORT[2]; }}
int ratti_board_counts(void) {{ return RATTI_COUNTS_INSTRUCTIONS; }}
int8_t *ratti_board_stack(void) {{ return __stack_bottom; }}
"""
}


class Board:
    """`firmware` (of `link.serving`) running on its emulated part; `path` is the terminal to open. A context."""

    def __init__(self, firmware: Firmware) -> None:
        faults.require_emulator()
        core = cores.require(firmware.target.core)
        if core.board:
            raise UnsupportedError(f"{firmware.target.id} runs in QEMU, which has other serial lines than this one")
        ours, theirs = os.openpty()
        _raw(theirs)
        self.path = os.ttyname(theirs)
        self._theirs = theirs  # kept open, so that the line stays up between two that open it
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(
            [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ratti.device.uart", str(ours)], pass_fds=(ours,), env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None,
        )
        os.close(ours)
        assert self._process.stdin is not None and self._process.stdout is not None
        send(self._process.stdin, emulator.describe(firmware), firmware.image.contents())
        started = receive(self._process.stdout)
        if started is None or "ready" not in started[0]:
            self.close()
            raise EmulationError(f"the emulated board did not start: {(started or ({}, b''))[0].get('broken', '')}")

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cut the line and end the process."""
        if self._theirs >= 0:
            os.close(self._theirs)
            self._theirs = -1
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def _raw(terminal: int) -> None:
    """Bytes pass as they are."""
    import tty

    tty.setraw(terminal)


def serve(line: int, job: dict[str, Any], contents: bytes) -> None:
    """Run the firmware until the line is cut."""
    from .machine import Machine, unicorn

    # One segment for good: the entry is a loop, and its range is left empty so that no step begins.
    machine = Machine({**job, "n_segments": 1, "entry_end": job["entry"], "seconds": FOREVER}, contents)
    pending, total = bytearray(), (ctypes.c_uint64 * 1)()

    def read(uc: Any, offset: int, size: int, user: Any) -> int:
        if offset == 8:
            machine.library.hook_instructions(machine.hook, total)
            return total[0] & 0xFFFFFFFF
        if not pending and select.select([line], [], [], SLICE)[0]:
            try:
                pending.extend(os.read(line, 4096))
            except OSError:
                uc.emu_stop()
        return pending.pop(0) if pending else 0xFFFFFFFF

    def write(uc: Any, offset: int, size: int, value: int, user: Any) -> None:
        try:
            os.write(line, bytes([value & 0xFF]))
        except OSError:
            uc.emu_stop()

    machine.uc.mmio_map(BASE, 4096, read, None, write, None)
    send(sys.stdout.buffer, {"ready": True})
    with contextlib.suppress(unicorn.UcError):
        machine.run([b""] * len(job["inputs"]))


def main() -> None:
    frame = receive(sys.stdin.buffer)
    if frame is None:
        return
    try:
        serve(int(sys.argv[1]), *frame)
    except Exception as error:  # the parent turns it into an EmulationError
        send(sys.stdout.buffer, {"broken": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
