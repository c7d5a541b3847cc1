"""Which instructions a target has: the emulator accepts more than the part does, so the linked code is read.

Sources: Armv6-M, DDI0419 A5 (16-bit Thumb without CBZ, CBNZ and IT; of the 32-bit ones BL, DMB, DSB, ISB, MRS, MSR);
Armv7-M, DDI0403 A5 with the DSP extension; the RISC-V unprivileged manual's chapters on RV32I, RV32E, M and C.

`armv81m` (vectors, which the disassembler does not know) and `xtensa` have no rule: QEMU's model of the former refuses
what its core lacks, and nothing of the latter is compiled.

Only the worker calls `foreign`; it alone imports capstone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from .. import registry

UNKNOWN = "unknown"
Rule = Callable[[str, str, int], bool]  # (mnemonic, operands, bytes) -> the target has it

_V6M_LONG = {"bl", "dmb", "dsb", "isb", "mrs", "msr"}
_V6M_NOT = re.compile(r"cbn?z|it[te]*|setend")
_VECTOR = re.compile(r"v\w+\.(?:[ius]8|[ius]16|i32|i64|p8|p64|[us]64)$|vmul\w*\.p")
_VECTOR_TYPED_MOVE = re.compile(r"vmov\.(?:8|16|32|[us]8|[us]16)$")
_ARMV8 = re.compile(r"(?:lda|stl|ldaex|stlex|crc32|aes|sha)\w*|tta?t?")
_RISCV_M = re.compile(r"(?:mul|div|rem)\w*")
_RISCV_OTHER = re.compile(r"(?:lr|sc|amo\w+)\.\w+.*|c?\.?f(?!ence)\w+.*")
_RISCV_HIGH = re.compile(r"\b(?:a[67]|s[2-9]|s1[01]|t[3-6]|x1[6-9]|x2\d|x3[01])\b")


def _armv6m(mnemonic: str, operands: str, size: int) -> bool:
    base = mnemonic.split(".")[0]
    return base in _V6M_LONG if size == 4 else not _V6M_NOT.fullmatch(base)


def _armv7em(mnemonic: str, operands: str, size: int, double: bool = False) -> bool:
    if _ARMV8.fullmatch(mnemonic) or (mnemonic.startswith("v") and re.search(r"\bq\d", operands)):
        return False
    if _VECTOR.match(mnemonic) and not _VECTOR_TYPED_MOVE.match(mnemonic):
        return False
    return double or ".f64" not in mnemonic


def _armv7em_double(mnemonic: str, operands: str, size: int) -> bool:
    return _armv7em(mnemonic, operands, size, double=True)


def _armv8m(mnemonic: str, operands: str, size: int) -> bool:
    return bool(re.fullmatch(r"(?:lda|stl)(?:ex)?[bh]?|tta?t?", mnemonic)) or _armv7em(mnemonic, operands, size)


def _rv32imc(mnemonic: str, operands: str, size: int) -> bool:
    return not _RISCV_OTHER.fullmatch(mnemonic)


def _rv32im(mnemonic: str, operands: str, size: int) -> bool:
    return size == 4 and _rv32imc(mnemonic, operands, size)


def _rv32ec(mnemonic: str, operands: str, size: int) -> bool:
    return _rv32imc(mnemonic, operands, size) and not (
        _RISCV_M.fullmatch(mnemonic) or _RISCV_HIGH.search(operands)
    )


# name: (architecture, needs the disassembler's Armv8 tables, rule)
ISAS: dict[str, tuple[str, bool, Rule]] = {
    "armv6m": ("arm", False, _armv6m),
    "armv7em": ("arm", False, _armv7em),
    "armv7em_dp": ("arm", True, _armv7em_double),
    "armv8m": ("arm", True, _armv8m),
    "rv32im": ("riscv", False, _rv32im),
    "rv32imc": ("riscv", False, _rv32imc),
    "rv32ec": ("riscv", False, _rv32ec),
}


def decode(isa: str, code: bytes, address: int) -> Iterator[tuple[int, int, str, str]]:
    """(address, bytes, mnemonic, operands) of each instruction; what no table knows is UNKNOWN."""
    if isa not in ISAS:
        raise registry.unknown("isa", isa, ISAS)
    import capstone

    arch, armv8, _ = ISAS[isa]
    if arch == "arm":
        mode = capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS | (capstone.CS_MODE_V8 if armv8 else 0)
        engine = capstone.Cs(capstone.CS_ARCH_ARM, mode)
    else:
        engine = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
    at = 0
    while at < len(code):
        for found in engine.disasm_lite(code[at:], address + at):
            yield found
            at = found[0] + found[1] - address
        if at < len(code):
            halves = [int.from_bytes(code[i : i + 2], "little") for i in range(at, min(at + 4, len(code)), 2)]
            is_long = len(halves) == 2 and (halves[0] >= 0xE800 if arch == "arm" else halves[0] & 3 == 3)
            halves = halves if is_long else halves[:1]
            ordered = halves if arch == "arm" else halves[::-1]
            yield address + at, 2 * len(halves), UNKNOWN, "0x" + "".join(f"{h:04x}" for h in ordered)
            at += 2 * len(halves)


def foreign(isa: str, pieces: Iterable[tuple[int, bytes]], limit: int = 5) -> list[tuple[int, str]]:
    """(address, instruction) of the first instructions in `pieces` (address, code) that `isa` does not have."""
    found: list[tuple[int, str]] = []
    for address, code in pieces:
        for at, size, mnemonic, operands in decode(isa, code, address):
            if mnemonic == UNKNOWN or not ISAS[isa][2](mnemonic, operands, size):
                found.append((at, f"{mnemonic} {operands}".strip()))
                if len(found) == limit:
                    return found
    return found
