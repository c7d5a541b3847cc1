"""Large files are written beside their place and renamed at the end: whole, or not there at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError


@contextlib.contextmanager
def replacing(path: Path, needs_bytes: int = 0) -> Iterator[Path]:
    """Yields the path to write to; the file takes its name when the block ends well, and is removed when it does not.

    InputError at once where the disk has less than `needs_bytes` free, or where it fills on the way.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if needs_bytes > free:
        raise InputError(f"{path}: needs {needs_bytes / 1e6:,.0f} MB and {path.parent} has {free / 1e6:,.0f} MB free")
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); nothing is left of it") from None
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path, needs_bytes: int = 0) -> Iterator[Path]:
    """The same for a folder: yields an empty one; it must not exist under its name, or be empty."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} exists and is not an empty folder; name another, or remove it")
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        free = shutil.disk_usage(part).free
        if needs_bytes > free:
            raise InputError(f"{path}: needs {needs_bytes / 1e6:,.0f} MB and the disk has {free / 1e6:,.0f} MB free")
        yield part
        if path.exists():
            path.rmdir()
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); nothing is left of it") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
