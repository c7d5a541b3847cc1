"""One self-contained HTML page from any run: no network, no other file, light and dark, for screen and paper."""

from .page import read, render

__all__ = ["read", "render"]
