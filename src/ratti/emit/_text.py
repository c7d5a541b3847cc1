"""Emitted text in lines that people can read."""

from __future__ import annotations

from collections.abc import Sequence


def wrap(start: str, items: Sequence[object], end: str, line: int, hang: int | None = None) -> str:
    """`start` + comma-separated items + `end`, broken before `line` characters.

    Further lines are indented by `hang` spaces, or to the end of `start`.
    """
    indent = " " * (len(start) if hang is None else hang)
    lines, current = [], start
    for k, item in enumerate(items):
        text = str(item) + ("," if k + 1 < len(items) else end)
        if len(current) + len(text) > line and current.strip():
            lines.append(current.rstrip())
            current = indent
        current += text + " "
    return "\n".join([*lines, current.rstrip()])
