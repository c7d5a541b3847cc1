"""What went wrong on the emulated part, in one line: which access, where, in which function."""

from __future__ import annotations

import importlib.util
from typing import Any

from ..errors import DoesNotFitError, EmulationError, MissingDependencyError
from . import cores
from .image import Image
from .toolchain import Firmware

NEAR_BYTES = 1 << 16  # an access this far below the stack's memory is taken for an overflow

_PROBLEMS = {
    "too_many_segments": "the entry function calls more often than it has steps",
    "inconsistent": "a block of code changed while it ran",
    "no_memory": "the counters found no memory on this computer",
    "outside": "execution left the linked code",
}
_EXCEPTIONS = {
    "arm": {
        1: "undefined instruction", 2: "supervisor call", 3: "access fault", 4: "misaligned access", 7: "breakpoint",
        17: "floating-point instruction without an enabled FPU", 18: "invalid processor state",
    },
    "riscv": {
        2: "illegal instruction", 3: "breakpoint", 4: "misaligned load", 6: "misaligned store",
        8: "environment call", 11: "environment call",
    },
}


class StackOverflowError(DoesNotFitError, EmulationError):
    """The stack grew out of the RAM that static data leave it."""


def require_emulator() -> None:
    """Raise MissingDependencyError unless the emulator and the disassembler are installed."""
    for package in ("unicorn", "capstone"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(package, "device", "emulating firmware")


def place(image: Image, address: int) -> str:
    """`function+0x12` for an address in code, else the address."""
    for symbol in image.symbols:
        if symbol.is_function and symbol.address <= address < max(symbol.end, symbol.address + 1):
            return f"{symbol.name}+{address - symbol.address:#x}"
    return f"{address:#010x}"


def error(firmware: Firmware, fault: dict[str, Any], seconds: float) -> EmulationError:
    """The error for the details that the worker sent."""
    target, image = firmware.target, firmware.image
    where = f"in {place(image, fault['pc'])}, {fault['during']}"
    stack = target.region("stack")
    address = fault.get("address")
    if address is not None and 0 < stack.start - address <= NEAR_BYTES and fault["access"] in ("read", "write"):
        room = image.symbol("__stack_top").address - stack.start
        return StackOverflowError(
            f"{target.id}: the program does not fit: static data ({image.ram_static_bytes:,} bytes) leave the stack "
            f"{room:,} bytes of {stack.name}, it needs at least {room + stack.start - address:,}: overflow {where}")
    return EmulationError(f"{target.id}: {_what(firmware, fault, seconds)} {where}")


def check_stack(firmware: Firmware, stack_bytes: int) -> None:
    """Raise StackOverflowError where code lies below the stack, so that no access faulted, and the stack met it."""
    target, image = firmware.target, firmware.image
    room = image.symbol("__stack_top").address - image.symbol("__stack_bottom").address
    if stack_bytes >= room and target.runs_from_ram:
        raise StackOverflowError(
            f"{target.id}: the program does not fit: code and static data leave the stack {room:,} bytes of "
            f"{target.region('stack').name}, it needs at least {stack_bytes:,}")


def _what(firmware: Firmware, fault: dict[str, Any], seconds: float) -> str:
    if fault["status"] == "timed_out":
        return f"no end after {seconds:g} s, stopped"
    if fault["status"] in _PROBLEMS:
        return f"{_PROBLEMS[fault['status']]},"
    if "exception" in fault:
        arch = cores.load(firmware.target.core).arch
        return _EXCEPTIONS[arch].get(fault["exception"], f"exception {fault['exception']}")
    if "address" not in fault:
        return fault["error"] or "execution stopped"
    address, access = fault["address"], fault["access"]
    if access == "misaligned":
        return f"misaligned access at {address:#010x}, which the core does not allow,"
    what = f"{fault['bytes']}-byte {access} at {address:#010x}"
    region = next((r for r in firmware.target.memory if r.origin <= address < r.end), None)
    if region is None:
        return f"{what}, where the part has no memory,"
    return f"{what} in {region.name}, which {'is read-only' if access == 'write' else 'holds no code'},"
