"""Search spaces: one file each, found by its name."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from ... import registry
from ...errors import InputError
from .base import Choice, Part, Space, Task

__all__ = ["Choice", "Part", "Space", "Task", "load", "names", "suited"]

PACKAGE = __name__


def names() -> tuple[str, ...]:
    """Ids of the known spaces."""
    return tuple(n for n in registry.modules(PACKAGE) if n != "base")


@cache
def _class(name: str) -> type[Space]:
    if name not in names():
        raise registry.unknown("space", name, names())
    classes = [v for v in vars(import_module(f"{PACKAGE}.{name}")).values() if isinstance(v, type)]
    (found,) = (c for c in classes if issubclass(c, Space) and c.__module__ == f"{PACKAGE}.{name}")
    return found


def load(name: str, task: Task) -> Space:
    """The space `name` for a task. InputError where there is none, or the task is not for it."""
    return _class(name)(task)


def suited(task: Task, ram_bytes: int) -> str:
    """The space to begin with: made for such inputs, and for the most RAM that is not more than there is."""
    shape = task.shapes[-1]
    able = [n for n in names() if _class(n).takes(shape)]
    meant = [n for n in able if _class(n).suits(shape) and _class(n).ram_bytes <= ram_bytes]
    if not able:
        raise InputError(f"no space takes inputs of {shape} (H, W, C): they are too small")
    return max(meant or able, key=lambda n: (_class(n).ram_bytes, -_class(n).order))
