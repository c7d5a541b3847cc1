"""Processor cores: how to compile for each, and which emulator model runs it.

A new core is one line here; a part with a core that is listed is one file in `targets/`. Compiler flags and models
are those that FACTS.md, section 3, records as working.
"""

from __future__ import annotations

from dataclasses import dataclass

from .. import registry


@dataclass(frozen=True)
class Core:
    """`emulator` names the constant UC_CPU_<ARCH>_<emulator> of unicorn (None: its default model); `faults_misaligned`
    says whether that model faults on its own where the part would.
    """

    arch: str  # "arm" or "riscv"
    triple: str
    mcpu: str
    emulator: str | None
    flags: tuple[str, ...] = ()
    faults_misaligned: bool = False

    @property
    def compiler_flags(self) -> tuple[str, ...]:
        return ("-target", self.triple, f"-mcpu={self.mcpu}", *self.flags)


CORES = {
    "cortex_m0plus": Core("arm", "thumb-freestanding-eabi", "cortex_m0plus", "CORTEX_M0", faults_misaligned=True),
    "cortex_m4f": Core("arm", "thumb-freestanding-eabihf", "cortex_m4+vfp4d16sp", "CORTEX_M4"),
    "cortex_m7": Core("arm", "thumb-freestanding-eabihf", "cortex_m7+fp_armv8d16", "CORTEX_M7"),
    "cortex_m33": Core("arm", "thumb-freestanding-eabihf", "cortex_m33+dsp+fp_armv8d16sp", "CORTEX_M33"),
    "esp32c3": Core("riscv", "riscv32-freestanding-none", "generic_rv32+m+c", None),
    "qingke_v2": Core("riscv", "riscv32-freestanding-none", "generic_rv32+e+c", None, ("-mabi=ilp32e",)),
}


def load(name: str) -> Core:
    """The core `name`; an unknown one is an InputError."""
    if name not in CORES:
        raise registry.unknown("core", name, CORES)
    return CORES[name]
