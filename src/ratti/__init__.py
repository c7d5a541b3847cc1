"""Small neural networks, and the proof that they fit.

The verbs among the functions below mirror the command line; each returns a frozen dataclass that prints as a table and
has `to_json()`. All are loaded on first use, so that importing ratti costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .compress import prune as prune
    from .compress import quantize as quantize
    from .train import distill as distill
    from .verbs.build import build as build
    from .verbs.check import check as check
    from .verbs.export import export as export
    from .verbs.search import search as search
    from .verbs.verify import verify as verify

__version__ = "0.1.0"

# `ratti train` and `ratti compress` are functions of `ratti.verbs`: the packages `train` and `compress` have the names.
_FUNCTIONS = {
    "build": ".verbs.build", "check": ".verbs.check", "export": ".verbs.export", "search": ".verbs.search",
    "verify": ".verbs.verify", "distill": ".train", "prune": ".compress", "quantize": ".compress",
}

__all__ = ["__version__", *sorted(_FUNCTIONS)]


def __getattr__(name: str) -> Any:
    if name not in _FUNCTIONS:
        raise AttributeError(f"module 'ratti' has no attribute '{name}'")
    return getattr(import_module(_FUNCTIONS[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
