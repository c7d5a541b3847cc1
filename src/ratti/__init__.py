"""Small neural networks, and the proof that they fit.

The functions below mirror the command line; each returns a frozen dataclass that prints as a table and has
`to_json()`. They are loaded on first use, so that importing ratti costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .verbs.build import build as build
    from .verbs.check import check as check
    from .verbs.export import export as export
    from .verbs.search import search as search
    from .verbs.verify import verify as verify

__version__ = "0.1.0"

_VERBS = ("build", "check", "export", "search", "verify")

__all__ = ["__version__", *_VERBS]


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"module 'ratti' has no attribute '{name}'")
    return getattr(import_module(f".verbs.{name}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
