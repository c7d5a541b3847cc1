"""Files found by name: a package is a registry, and each module in it is one entry."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from types import ModuleType

from .errors import InputError


@cache
def modules(package: str) -> tuple[str, ...]:
    """Names of the public modules and packages directly in `package`, sorted."""
    path = importlib.import_module(package).__path__
    return tuple(sorted(m.name for m in pkgutil.iter_modules(path) if not m.name.startswith("_")))


def load(package: str, name: str) -> ModuleType:
    """The module `name` of `package`; an unknown name is an InputError that lists what there is."""
    if name not in modules(package):
        raise unknown(package.rsplit(".", 1)[-1].rstrip("s"), name, modules(package))
    return importlib.import_module(f"{package}.{name}")


def unknown(kind: str, name: str, allowed: Iterable[str]) -> InputError:
    """The error for a name that is not in a registry: with the nearest names first."""
    names = sorted(allowed)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return InputError(f"unknown {kind} '{name}': {hint}known: {', '.join(names)}")
