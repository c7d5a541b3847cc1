"""Front ends: integer programs that turn what a sensor gives into what a net takes. One a folder, found by its name.

Each is written twice, in numpy (the definition, which training uses) and in C (what ships), and both give the same
integers. A front end is a program of its own beside the net: `<model>_features()` in the emitted source.
"""

from __future__ import annotations

from importlib import resources

from .base import Codes, FrontEnd, Program, Window, from_json, front_ends, make, to_json

__all__ = ["Codes", "FrontEnd", "Program", "Window", "from_json", "front_ends", "make", "source", "to_json"]


def source(header: str) -> str:
    """The text of a front end's header, by its path relative to this folder."""
    return resources.files(__name__).joinpath(*header.split("/")).read_text(encoding="utf-8")
