"""How operators are computed: a family a folder, a variant a pair of files (`<variant>.h`, `<variant>.py`)."""

from __future__ import annotations

from functools import cache
from importlib import import_module, resources

from ..registry import modules
from .base import FEATURES, Call, Constant, Kernel, Overlap, Reach, Struct, Table, Work

__all__ = [
    "FEATURES",
    "Call",
    "Constant",
    "Kernel",
    "Overlap",
    "Reach",
    "Struct",
    "Table",
    "Work",
    "all_kernels",
    "candidates",
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
    """Kernels that serve `work`, the one with the fewest estimated instructions first."""
    return sorted((k for k in all_kernels() if k.serves(work)), key=lambda k: (k.instructions(work), k.name))


def source(header: str) -> str:
    """The text of a kernel header, by its path relative to this folder."""
    return resources.files(__name__).joinpath(*header.split("/")).read_text(encoding="utf-8")
