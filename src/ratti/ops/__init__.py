"""The operators: one module each, found by its name; the module's class carries the same name in CamelCase."""

from __future__ import annotations

from functools import cache

from ..registry import load, modules
from .base import Op


def names() -> tuple[str, ...]:
    """Names of all operators."""
    return tuple(n for n in modules(__name__) if n != "base")


@cache
def get(name: str) -> type[Op]:
    """The operator class called `name`."""
    module = load(__name__, name)
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Op) and vars(value).get("name") == name:
            return value
    raise LookupError(f"ops/{name}.py defines no Op named '{name}'")


@cache
def by_tflite_code() -> dict[int, type[Op]]:
    """Operators by TFLite BuiltinOperator code."""
    return {code: get(n) for n in names() for code in (get(n).tflite_code, *get(n).tflite_aliases)}
