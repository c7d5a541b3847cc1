"""One emulated part inside the worker: memory at its real place and size, a native block hook, faults in words.

Only the worker imports this module; it alone imports unicorn.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import unicorn as _unicorn
from unicorn import arm_const, riscv_const
from unicorn.unicorn_py3.unicorn import uclib

unicorn: Any = _unicorn  # it exports its names without saying so, and without types

PAGE_BYTES = 4096
FILL = 0xA5
SYSTEM_CONTROL_SPACE = 0xE000E000  # Armv7-M B3.2: start-up enables the FPU there

STATUS = ("running", "timed_out", "too_many_segments", "inconsistent", "no_memory", "outside", "misaligned")
_ACCESS = {
    unicorn.UC_MEM_READ_UNMAPPED: "read",
    unicorn.UC_MEM_READ_PROT: "read",
    unicorn.UC_MEM_READ: "read",
    unicorn.UC_MEM_WRITE_UNMAPPED: "write",
    unicorn.UC_MEM_WRITE_PROT: "write",
    unicorn.UC_MEM_WRITE: "write",
    unicorn.UC_MEM_FETCH_UNMAPPED: "fetch",
    unicorn.UC_MEM_FETCH_PROT: "fetch",
}


class FaultError(Exception):
    """The firmware did what the part does not allow; `details` go to the parent, which has the words for them."""

    def __init__(self, details: dict[str, Any]) -> None:
        super().__init__(str(details))
        self.details = details


@dataclass(frozen=True)
class Registers:
    sp: int
    pc: int
    status: int
    link: int
    argument: int
    thumb: int


_ARM = Registers(
    sp=arm_const.UC_ARM_REG_SP, pc=arm_const.UC_ARM_REG_PC, status=arm_const.UC_ARM_REG_CPSR,
    link=arm_const.UC_ARM_REG_LR, argument=arm_const.UC_ARM_REG_R0, thumb=1,
)
_RISCV = Registers(
    sp=riscv_const.UC_RISCV_REG_SP, pc=riscv_const.UC_RISCV_REG_PC, status=0,
    link=riscv_const.UC_RISCV_REG_RA, argument=riscv_const.UC_RISCV_REG_A0, thumb=0,
)


class Block(ctypes.Structure):
    """A basic block that ran, as the hook records it."""

    _fields_ = tuple((name, ctypes.c_uint32) for name in ("address", "bytes", "instructions", "reach"))


def load_hook(path: str) -> ctypes.CDLL:
    """The compiled block hook, with the types of its functions."""
    library = ctypes.CDLL(path)
    pointer, u32 = ctypes.c_void_p, ctypes.c_uint32
    library.hook_new.restype = pointer
    library.hook_new.argtypes = [*[pointer] * 3, *[ctypes.c_int] * 4, u32, u32, pointer, *[u32] * 4]
    library.hook_flash.argtypes = [pointer, *[u32] * 4, ctypes.c_int, *[u32] * 3]
    library.hook_free.argtypes = [pointer]
    library.hook_reset.argtypes = [pointer, ctypes.c_double]
    library.hook_instructions.argtypes = [pointer, pointer]
    for name, result in (
        ("status", ctypes.c_int), ("lowest_sp", u32), ("n_blocks", u32), ("segments", u32),
        ("blocks", ctypes.POINTER(Block)), ("counts", ctypes.POINTER(ctypes.c_uint64)),
        ("falls", ctypes.POINTER(ctypes.c_uint64)), ("stalls", ctypes.POINTER(ctypes.c_uint64)),
        ("fault_pc", u32), ("fault_address", u32),
    ):
        function = getattr(library, f"hook_{name}")
        function.restype, function.argtypes = result, [pointer]
    return library


class Machine:
    """A part with firmware in it, started up and resting in `ratti_idle`.

    `job` is the worker's request (see worker.py). `watch` is a range of addresses: reads and writes there are looked
    at, for misaligned ones that the emulator lets pass and for waiting for flash. Each costs 0.1 µs.
    """

    def __init__(self, job: dict[str, Any], contents: bytes, watch: tuple[int, int] | None = None) -> None:
        self.job = job
        self.registers = _ARM if job["arch"] == "arm" else _RISCV
        self.uc = self._engine()
        self._invalid: dict[str, Any] | None = None
        self.code = bytearray(job["code_bytes"])
        for region in job["memory"]:
            self._map(region)
        at = 0
        for address, size in job["segments"]:
            self.uc.mem_write(address, contents[at : at + size])
            at += size
        self.code[:] = self.uc.mem_read(job["code_start"], job["code_bytes"])
        self.library = load_hook(job["hook"])
        self._add_hooks()
        if watch:
            self._watch(*watch)
        try:
            self._start_up()
        except FaultError:
            self.close()
            raise

    def close(self) -> None:
        """Free the emulated memory now: the callbacks tie this object and the engine into a cycle."""
        self.uc = None
        self.library.hook_free(self.hook)

    def run(self, values: list[bytes]) -> list[bytes]:
        """One inference: inputs into the arena, the entry function, outputs from the arena."""
        job, r = self.job, self.registers
        for (offset, _), value in zip(job["inputs"], values, strict=True):
            self.uc.mem_write(job["arena"] + offset, value)
        self.uc.reg_write(r.sp, self.idle_sp)
        self.uc.reg_write(r.argument, job["arena"])
        self.uc.reg_write(r.link, job["idle"] | r.thumb)
        self._go(job["entry"])
        return [bytes(self.uc.mem_read(job["arena"] + offset, size)) for offset, size in job["outputs"]]

    def instructions(self) -> list[int]:
        """Instructions of the last run, by segment."""
        out = (ctypes.c_uint64 * self.job["n_segments"])()
        self.library.hook_instructions(self.hook, out)
        return list(out)[: self.library.hook_segments(self.hook)]

    def stalls(self) -> list[int]:
        """Cycles of waiting for flash in the last run, by segment, of a machine that watches flash."""
        return list(self.library.hook_stalls(self.hook)[: self.job["n_segments"]])

    def blocks(self) -> list[tuple[Block, list[tuple[int, int, int]]]]:
        """Blocks of the last run, each with its (segment, times, times that the next block followed in memory)."""
        n, width = self.library.hook_n_blocks(self.hook), self.job["n_segments"]
        table, counts = self.library.hook_blocks(self.hook), self.library.hook_counts(self.hook)
        falls = self.library.hook_falls(self.hook)
        found = []
        for b in range(n):
            row = b * width
            cells = [(s, counts[row + s], falls[row + s]) for s in range(width) if counts[row + s]]
            if cells:
                found.append((table[b], cells))
        return found

    def stack_bytes(self) -> int:
        """The deepest the stack has been since start-up: bytes written, or reserved by moving the stack pointer."""
        bottom, top = self.job["stack"]
        content = bytes(self.uc.mem_read(bottom, top - bottom))
        untouched = len(content) - len(content.lstrip(bytes([FILL])))
        written: int = top - bottom - untouched
        return max(written, int(top - min(self.lowest_sp, top)))

    def _engine(self) -> Any:
        if self.job["arch"] == "arm":
            # UC_MODE_MCLASS would silently replace the model by a Cortex-M33.
            uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
            uc.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{self.job['model']}"))
            uc.mem_map(SYSTEM_CONTROL_SPACE, PAGE_BYTES, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
            return uc
        return unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)

    def _map(self, region: dict[str, Any]) -> None:
        start, end = region["origin"], region["origin"] + region["bytes"]
        first, last = start // PAGE_BYTES * PAGE_BYTES, -(-end // PAGE_BYTES) * PAGE_BYTES
        rights = unicorn.UC_PROT_READ | (unicorn.UC_PROT_WRITE if region["kind"] == "ram" else 0)
        rights |= unicorn.UC_PROT_EXEC if region["code"] or region["kind"] == "flash" else 0
        self.uc.mem_map(first, last - first, rights)
        for low, high in ((first, start), (end, last)):  # a part's memory may end inside a page
            if low < high:
                kinds = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
                self.uc.hook_add(kinds, self._on_guard, None, low, high - 1)

    def _add_hooks(self) -> None:
        job = self.job
        view = (ctypes.c_char * len(self.code)).from_buffer(self.code)
        engine = [ctypes.cast(f, ctypes.c_void_p) for f in (uclib.uc_emu_stop, uclib.uc_reg_read, uclib.uc_reg_write)]
        r = self.registers
        self.hook = self.library.hook_new(
            *engine, r.sp, r.pc, r.status, r.thumb, job["code_start"], job["code_bytes"], ctypes.addressof(view),
            job["entry"], job["entry_end"], job["idle"], job["n_segments"],
        )
        if not self.hook:
            raise MemoryError("the block hook found no memory")
        self._add_native_hook(unicorn.UC_HOOK_BLOCK, self.library.hook_block)
        self.uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid)
        self.uc.hook_add(unicorn.UC_HOOK_INTR, self._on_exception)

    def _add_native_hook(self, kind: int, function: Any, first: int = 1, last: int = 0) -> None:
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(self.uc._uch, ctypes.byref(handle), kind, ctypes.cast(function, ctypes.c_void_p),
                                   ctypes.c_void_p(self.hook), ctypes.c_uint64(first), ctypes.c_uint64(last))
        if status != unicorn.UC_ERR_OK:
            raise unicorn.UcError(status)

    def _watch(self, first: int, last: int) -> None:
        flash = self.job["flash"]
        if flash and not self.library.hook_flash(self.hook, *flash):
            raise MemoryError("the flash model found no memory")
        kinds = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
        self._add_native_hook(kinds, self.library.hook_access, first, last)

    def _start_up(self) -> None:
        """Reset to idle, with the stack filled so that its deepest use shows."""
        bottom, top = self.job["stack"]
        self.lowest_sp = top
        self.uc.mem_write(bottom, bytes([FILL]) * (top - bottom))
        self.uc.reg_write(self.registers.sp, top)  # Arm reads it from its vector table, RISC-V's start-up sets it
        self._go(self.job["reset"])
        self.idle_sp = self.uc.reg_read(self.registers.sp)

    def _go(self, address: int) -> None:
        self._invalid = None
        self.library.hook_reset(self.hook, self.job["seconds"])
        problem = None
        try:
            self.uc.emu_start(address | self.registers.thumb, self.job["idle"])
        except unicorn.UcError as error:
            problem = str(error)
        status = STATUS[self.library.hook_status(self.hook)]
        pc, sp = self.uc.reg_read(self.registers.pc), self.uc.reg_read(self.registers.sp)
        self.lowest_sp = min(self.lowest_sp, self.library.hook_lowest_sp(self.hook))
        if status == "misaligned":
            pc, self._invalid = self.library.hook_fault_pc(self.hook), {
                "access": "misaligned", "address": self.library.hook_fault_address(self.hook), "bytes": 0}
        if self._invalid or problem or status != "running" or pc != self.job["idle"]:
            raise FaultError({"pc": pc, "sp": sp, "status": status, "error": problem, **(self._invalid or {})})

    def _on_invalid(self, uc: Any, access: int, address: int, size: int, value: int, user: Any) -> bool:
        self._invalid = {"access": _ACCESS.get(access, "access"), "address": address, "bytes": size}
        return False

    def _on_exception(self, uc: Any, number: int, user: Any) -> None:
        self._invalid = {"exception": number}
        uc.emu_stop()

    def _on_guard(self, uc: Any, access: int, address: int, size: int, value: int, user: Any) -> None:
        self._on_invalid(uc, access, address, size, value, user)
        uc.emu_stop()
