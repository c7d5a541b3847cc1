"""How operators are computed: a family a folder, a variant a pair of files (`<variant>.h`, `<variant>.py`).

Kernels that any core can run have a third, `<variant>.rs`: the same in Rust.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module, resources

from ..registry import modules
from .base import (
    FEATURES,
    FIXED_SIZES,
    SCARCE_FLASH,
    SPARE_FLASH,
    Call,
    Constant,
    Kernel,
    Overlap,
    Reach,
    Struct,
    Table,
    Work,
    call_of,
    lean_features,
)

__all__ = [
    "FEATURES",
    "FIXED_SIZES",
    "SCARCE_FLASH",
    "SPARE_FLASH",
    "Call",
    "Constant",
    "Kernel",
    "Overlap",
    "Reach",
    "Struct",
    "Table",
    "Work",
    "all_kernels",
    "call_of",
    "candidates",
    "lean_features",
    "rust_form",
    "rust_path",
    "source",
]


@cache
def all_kernels() -> tuple[Kernel, ...]:
    """One instance of every kernel."""
    found: list[Kernel] = []
    for family in modules(__name__):
        if family in ("base", "support"):
            continue
        for variant in modules(f"{__name__}.{family}"):
            module = import_module(f"{__name__}.{family}.{variant}")
            classes = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Kernel)]
            found += [c() for c in classes if c.__module__ == module.__name__]
    return tuple(found)


def candidates(work: Work) -> list[Kernel]:
    """Kernels that serve `work`, the one with the fewest estimated instructions first.

    Where flash is short, those that store weights compressed come before all others.
    """
    short = SCARCE_FLASH in work.features
    served = (k for k in all_kernels() if k.serves(work))
    return sorted(served, key=lambda k: (not (short and k.compresses), k.instructions(work), k.name))


def source(path: str) -> str:
    """The text of a kernel's file, by its path relative to this folder."""
    return resources.files(__name__).joinpath(*path.split("/")).read_text(encoding="utf-8")


def rust_path(kernel: Kernel) -> str:
    """Where a kernel's Rust form lies, if it has one: beside its header."""
    return kernel.header.removesuffix(".h") + ".rs"


@cache
def rust_form(kernel: Kernel) -> str | None:
    """The text of a kernel's Rust form; None where it has none."""
    file = resources.files(__name__).joinpath(*rust_path(kernel).split("/"))
    return file.read_text(encoding="utf-8") if file.is_file() else None
