"""What went wrong on the emulated part, in one line: which access, where, in which function."""

from __future__ import annotations

import importlib.util
from typing import Any

from ..errors import MissingDependencyError
from .image import Image
from .toolchain import Firmware

NEAR_BYTES = 1 << 16  # an access this far below the stack's memory is taken for an overflow

_PROBLEMS = {
    "too_many_segments": "the entry function returned to itself more often than it has steps",
    "inconsistent": "a block of code changed while it ran",
    "no_memory": "the counters found no memory on this computer",
    "outside": "execution left the linked code",
}


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


def describe(firmware: Firmware, fault: dict[str, Any], seconds: float) -> str:
    """The message for the details that the worker sent."""
    target, image = firmware.target, firmware.image
    where = f"in {place(image, fault['pc'])}, {fault['during']}"
    head = f"{target.id}: "
    if fault["status"] == "timed_out":
        return f"{head}no end after {seconds:g} s: stopped {where}"
    if fault["status"] != "running":
        return f"{head}{_PROBLEMS[fault['status']]}: {where}"
    if "address" not in fault:
        return f"{head}{fault['error'] or 'execution stopped'}: {where}"
    address = fault["address"]
    stack = target.region("stack")
    if stack.origin - NEAR_BYTES <= address < stack.origin and fault["access"] != "fetch":
        room = image.symbol("__stack_top").address - stack.origin
        return (f"{head}stack overflow: {room:,} bytes of {stack.name} are left for the stack beside "
                f"{image.ram_static_bytes:,} bytes of static data, and at least {room + stack.origin - address:,} are "
                f"needed: {where}")
    region = next((r for r in target.memory if r.origin <= address < r.end), None)
    what = f"{fault['bytes']}-byte {fault['access']} at {address:#010x}"
    if region is None:
        return f"{head}{what}, where the part has no memory: {where}"
    reason = "which is read-only" if fault["access"] == "write" else "which holds no code"
    return f"{head}{what} in {region.name}, {reason}: {where}"
