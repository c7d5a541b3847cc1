"""Search strategies: one file each, found by its name."""

from __future__ import annotations

from importlib import import_module

from ... import registry
from .base import Strategy

__all__ = ["Strategy", "load", "names"]

PACKAGE = __name__


def names() -> tuple[str, ...]:
    """Ids of the known strategies."""
    return tuple(n for n in registry.modules(PACKAGE) if n != "base")


def load(name: str) -> type[Strategy]:
    """The class of the strategy `name`; InputError where there is none."""
    if name not in names():
        raise registry.unknown("strategy", name, names())
    classes = [v for v in vars(import_module(f"{PACKAGE}.{name}")).values() if isinstance(v, type)]
    (found,) = (c for c in classes if issubclass(c, Strategy) and c.__module__ == f"{PACKAGE}.{name}")
    return found
