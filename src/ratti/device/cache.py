"""What was compiled once is kept: a folder per user, filled atomically, shared by processes that race."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def folder() -> Path:
    """The cache folder: `RATTI_CACHE`, or `ratti` below `XDG_CACHE_HOME`, or below `~/.cache`."""
    override = os.environ.get("RATTI_CACHE")
    if override:
        return Path(override)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ratti"


def key(content: Any) -> str:
    """A name for `content` (anything that JSON can hold): equal content, equal name."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def write(path: Path, text: str) -> None:
    """Write a small file so that a reader sees all of it or nothing."""
    descriptor, name = tempfile.mkstemp(prefix=".", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(name).replace(path)


def publish(kind: str, name: str, make: Callable[[Path], None], product: str = "") -> Path:
    """The folder `kind/name` of the cache, made by `make(folder)` unless it is there, with the file `product` in it.

    `make` works in a temporary folder that is renamed when complete, so that nobody sees half a result; of two
    processes that race the first one wins and the other's work, which is the same, is dropped.
    """
    final = folder() / kind / name
    if (final / product).exists():
        return final
    shutil.rmtree(final, ignore_errors=True)  # what a clean-up left of it
    final.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{name[:8]}-", dir=final.parent))
    try:
        make(work)
        with contextlib.suppress(OSError):  # somebody else published it first
            work.rename(final)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final
