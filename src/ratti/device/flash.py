"""Writing firmware to a board with the tool for it, where that is on PATH: OpenOCD, esptool or picotool."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import DeviceError, InputError, MissingDependencyError

SECONDS = 180

# OpenOCD's scripts of the adapter that is on the vendor's board, and of the part.
OPENOCD: Mapping[str, tuple[str, str]] = {
    "stm32l4r5zi": ("interface/stlink.cfg", "target/stm32l4x.cfg"),
    "stm32f446re": ("interface/stlink.cfg", "target/stm32f4x.cfg"),
    "stm32f746": ("interface/stlink.cfg", "target/stm32f7x.cfg"),
    "stm32h743": ("interface/stlink.cfg", "target/stm32h7x.cfg"),
    "stm32g0b1": ("interface/stlink.cfg", "target/stm32g0x.cfg"),
    "stm32u575": ("interface/stlink.cfg", "target/stm32u5x.cfg"),
    "nrf52840": ("interface/jlink.cfg", "target/nrf52.cfg"),
    "rp2040": ("interface/cmsis-dap.cfg", "target/rp2040.cfg"),
}


@dataclass(frozen=True)
class Tool:
    """A program that flashes one kind of file. `command(file, port, target)` gives its arguments."""

    name: str
    install: str
    command: Callable[[Path, str, str], list[str]]


def _openocd(file: Path, port: str, target: str) -> list[str]:
    if target not in OPENOCD:
        known = ", ".join(sorted(OPENOCD))
        raise InputError(f"no OpenOCD script is known for '{target or 'no target'}' (--target): {known}")
    adapter, part = OPENOCD[target]
    return ["-f", adapter, "-f", part, "-c", f"program {{{file}}} verify reset exit"]


TOOLS: Mapping[str, Tool] = {
    ".elf": Tool("openocd", "apt-get install openocd", _openocd),
    ".hex": Tool("openocd", "apt-get install openocd", _openocd),
    ".bin": Tool("esptool", "pip install esptool",
                 lambda file, port, target: ["--port", port, "write_flash", "0x0", str(file)]),
    ".uf2": Tool("picotool", "github.com/raspberrypi/picotool, or copy the file to the board's drive",
                 lambda file, port, target: ["load", "-x", str(file)]),
}


def flash(file: Path, port: str, target: str = "") -> None:
    """Write `file` to the board whose line is `port`. Its kind names the tool: .elf and .hex OpenOCD, .bin (a whole
    image from address 0) esptool, .uf2 picotool.

    InputError for a file of another kind or a target without a script, MissingDependencyError where the tool is not on
    PATH, DeviceError with its last line where it fails.
    """
    tool = TOOLS.get(file.suffix)
    if tool is None:
        raise InputError(f"'{file}' is no firmware that ratti flashes: {', '.join(TOOLS)}")
    if not file.is_file():
        raise InputError(f"there is no firmware '{file}'")
    arguments = tool.command(file, port, target)
    if shutil.which(tool.name) is None:
        raise MissingDependencyError(tool.name, "", f"flashing {file.suffix} files", tool.install)
    try:
        result = subprocess.run([tool.name, *arguments], capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise DeviceError(f"{tool.name} did not end in {SECONDS} s") from None
    if result.returncode:
        lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
        said = next((line for line in reversed(lines) if "rror" in line), lines[-1] if lines else "no message")
        raise DeviceError(f"{tool.name} failed: {said.strip()}")
