"""The page of a run."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..report.html import read, render
from .export import check_folder, write_files

PAGE = "report.html"


def report(run: str | Path, out: Path | None = None) -> Path:
    """Writes the page of `run`: the folder of a build, a bundle, a compression or a search, or a file from
    `ratti check --json`.

    Without `out` it goes into the folder, or beside the file with the ending .html. InputError where there is no run,
    or a damaged one; nothing is written then.
    """
    source = Path(run)
    out = out or (source / PAGE if source.is_dir() else source.with_suffix(".html"))
    if out.is_dir():
        raise InputError(f"'{out}' is a folder: give --out a file, such as {out / PAGE}")
    if out == source:
        raise InputError(f"'{out}' is the run itself: give --out another file")
    check_folder(out.parent)
    page = render(read(source), source)
    write_files({out.name: page.encode()}, out.parent)
    return out
