"""One emulated board in QEMU inside the worker: the second backend, for cores that unicorn does not model.

It offers what `machine.Machine` does, except blocks (hence no pricing), waiting for flash and the stack pointer's path:
the stack's use is what was written of it. QEMU's boards do not end their memory where a part does; the linker's script
does. Only the worker imports this module.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from .cores import QEMU
from .gdb import Gdb, GdbError
from .machine import FILL, FaultError

MOST_SEGMENTS = 4096
STATUS = ("running", "too_many_segments", "outside")
POLL_SECONDS = 0.001
# Numbers of GDB's register lists: stack pointer, program counter, return address, first argument.
REGISTERS = {"arm": (13, 15, 14, 0), "riscv": (2, 32, 1, 10)}


class Shared(ctypes.Structure):
    """What qemuplugin.c maps."""

    _fields_ = (
        *((name, ctypes.c_uint32) for name in (
            "code_start", "code_bytes", "entry_start", "entry_end", "idle", "n_segments",
            "status", "at_idle", "segments", "was_in_entry", "outside", "reserved")),
        ("instructions", ctypes.c_uint64 * MOST_SEGMENTS),
    )


class QemuMachine:
    """A board with firmware in it, started up and resting in `ratti_idle`. `job` is the worker's request."""

    def __init__(self, job: dict[str, Any], contents: bytes) -> None:
        self.job = job
        self.sp, self.pc, self.link, self.argument = REGISTERS[job["arch"]]
        self.folder = Path(tempfile.mkdtemp(prefix="ratti-qemu-"))
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self.shared = self._share()
            self.process = self._start()
            assert self.process.stdin is not None and self.process.stdout is not None
            self.gdb = Gdb(self.process.stdin, self.process.stdout)
            at = 0
            for address, size in job["segments"]:
                self.gdb.write(address, contents[at : at + size])
                at += size
            bottom, top = job["stack"]
            self.gdb.write(bottom, bytes([FILL]) * (top - bottom))
            self._go(job["reset"], top)
            self.idle_sp = self.gdb.register(self.sp)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End QEMU and remove its files."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, values: list[bytes]) -> list[bytes]:
        """One inference: inputs into the arena, the entry function, outputs from the arena."""
        job = self.job
        for (offset, _), value in zip(job["inputs"], values, strict=True):
            self.gdb.write(job["arena"] + offset, value)
        self.gdb.set_register(self.argument, job["arena"])
        self.gdb.set_register(self.link, job["idle"] | (job["arch"] == "arm"))
        self._go(job["entry"], self.idle_sp)
        return [self.gdb.read(job["arena"] + offset, size) for offset, size in job["outputs"]]

    def instructions(self) -> list[int]:
        """Instructions of the last run, by segment."""
        return list(self.shared.instructions[: self.shared.segments])

    def blocks(self) -> list[Any]:
        """None: QEMU's blocks are counted by step only."""
        return []

    def stack_bytes(self) -> int:
        """The deepest write to the stack since start-up."""
        bottom, top = self.job["stack"]
        return len(self.gdb.read(bottom, top - bottom).lstrip(bytes([FILL])))

    def _share(self) -> Shared:
        job = self.job
        path = self.folder / "shared"
        path.write_bytes(bytes(ctypes.sizeof(Shared)))
        with path.open("r+b") as stream:
            view = Shared.from_buffer(mmap.mmap(stream.fileno(), 0))
        view.code_start, view.code_bytes = job["code_start"], job["code_bytes"]
        view.entry_start, view.entry_end, view.idle = job["entry"], job["entry_end"], job["idle"]
        view.n_segments = min(job["n_segments"], MOST_SEGMENTS)
        return view

    def _start(self) -> subprocess.Popen[bytes]:
        program = shutil.which(QEMU[self.job["arch"]])
        if program is None:
            raise GdbError(f"{QEMU[self.job['arch']]} is not installed")
        firmware = self.job["firmware"]
        return subprocess.Popen(
            [program, "-M", self.job["board"], *(["-bios", "none"] if self.job["arch"] == "riscv" else []),
             "-display", "none", "-monitor", "none", "-serial", "none", "-gdb", "stdio", "-S",
             "-device", f"loader,file={firmware}",
             "-plugin", f"{self.job['hook']},shared={self.folder / 'shared'}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
        )

    def _go(self, address: int, sp: int) -> None:
        shared = self.shared
        ctypes.memset(ctypes.addressof(shared.instructions), 0, ctypes.sizeof(shared.instructions))
        shared.status = shared.at_idle = shared.segments = shared.was_in_entry = 0
        self.gdb.set_register(self.pc, address)
        self.gdb.set_register(self.sp, sp)
        deadline = time.monotonic() + self.job["seconds"]
        self.gdb.resume()
        while not (shared.at_idle or shared.status) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        late = not (shared.at_idle or shared.status)
        self.gdb.interrupt()
        status = "timed_out" if late else STATUS[shared.status]
        if status != "running":
            pc = shared.outside if status == "outside" else self.gdb.register(self.pc)
            raise FaultError({"pc": pc, "sp": self.gdb.register(self.sp), "status": status, "error": None})
