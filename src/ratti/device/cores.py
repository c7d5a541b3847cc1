"""Processor cores: how to compile for each, and which emulator model runs it.

A new core is one line here; a part with a core that is listed is one file in `targets/`. Compiler flags and models
are those that were tried together.

Most cores run in unicorn. One that it does not model runs in QEMU, where that is installed; one that has no compiler
either is sized by the code of another core, and nothing of it runs.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from .. import registry
from ..errors import EmulationError


@dataclass(frozen=True)
class Core:
    """`emulator` names the constant UC_CPU_<ARCH>_<emulator> of unicorn (None: its default model); `faults_misaligned`
    says whether that model faults on its own where the part would. `board` names QEMU's board where that runs the core
    instead. `absent` says why the core's firmware cannot be compiled; the fields before it are then a stand-in's.
    """

    name: str  # as its vendor writes it
    arch: str  # "arm" or "riscv"
    triple: str
    mcpu: str
    emulator: str | None
    flags: tuple[str, ...] = ()
    faults_misaligned: bool = False
    board: str = ""
    absent: str = ""

    @property
    def obstacle(self) -> str:
        """Why nothing runs on this core here; empty where it does."""
        if self.absent:
            return self.absent
        program = QEMU[self.arch]
        if self.board and shutil.which(program) is None:
            return f"this core runs in QEMU, and {program} is not installed (Debian: {QEMU_PACKAGE[self.arch]})"
        return ""

    @property
    def compiler_flags(self) -> tuple[str, ...]:
        return ("-target", self.triple, f"-mcpu={self.mcpu}", *self.flags)


QEMU = {"arm": "qemu-system-arm", "riscv": "qemu-system-riscv32"}
QEMU_PACKAGE = {"arm": "qemu-system-arm", "riscv": "qemu-system-misc"}
_SOFT, _HARD = ("arm", "thumb-freestanding-eabi"), ("arm", "thumb-freestanding-eabihf")
_RV32 = ("riscv", "riscv32-freestanding-none")
_XTENSA = "no compiler or emulator of Xtensa comes by pip"

CORES = {
    "cortex_m0plus": Core("Cortex-M0+", *_SOFT, "cortex_m0plus", "CORTEX_M0", faults_misaligned=True),
    "cortex_m4f": Core("Cortex-M4F", *_HARD, "cortex_m4+vfp4d16sp", "CORTEX_M4"),
    "cortex_m7": Core("Cortex-M7", *_HARD, "cortex_m7+fp_armv8d16", "CORTEX_M7"),
    "cortex_m33": Core("Cortex-M33", *_HARD, "cortex_m33+dsp+fp_armv8d16sp", "CORTEX_M33"),
    "cortex_m55": Core("Cortex-M55", *_HARD, "cortex_m55+mve+fp_armv8d16", None, faults_misaligned=True,
                       board="mps3-an547"),
    "bumblebee": Core("Bumblebee", *_RV32, "generic_rv32+m+c", None),
    "esp32c3": Core("RISC-V", *_RV32, "generic_rv32+m+c", None),
    "hazard3": Core("Hazard3", *_RV32, "generic_rv32+m+c", None),
    "qingke_v2": Core("QingKe V2", *_RV32, "generic_rv32+e+c", None, ("-mabi=ilp32e",)),
    "qingke_v4": Core("QingKe V4", *_RV32, "generic_rv32+m+c", None),
    "vega_et1031": Core("VEGA ET1031", *_RV32, "generic_rv32+m", None),
    "xtensa_lx6": Core("Xtensa LX6", *_RV32, "generic_rv32+m+c", None, absent=_XTENSA),
    "xtensa_lx7": Core("Xtensa LX7", *_RV32, "generic_rv32+m+c", None, absent=_XTENSA),
}


def load(name: str) -> Core:
    """The core `name`; an unknown one is an InputError."""
    if name not in CORES:
        raise registry.unknown("core", name, CORES)
    return CORES[name]


def require(name: str) -> Core:
    """The core `name` where firmware can run on it; EmulationError with the reason where not."""
    core = load(name)
    if core.obstacle:
        raise EmulationError(f"nothing runs on {name}: {core.obstacle}")
    return core
