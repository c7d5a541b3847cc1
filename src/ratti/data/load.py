"""The door: a source's name or path in, a Dataset out."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from .. import registry
from ..errors import DataError
from .dataset import Dataset
from .options import Options

__all__ = ["Options", "load"]


class Source(Protocol):
    """What each module of `sources/` offers."""

    FORMS: str  # how a user names such a source, for messages

    def accepts(self, source: str) -> bool:
        """Whether `source` (a name or a path) is one of this kind."""

    def load(self, source: str, options: Options) -> Dataset:
        """The data set; `DataError` where it is none."""


def load(source: str | Path, options: Options | None = None) -> Dataset:
    """The data set at `source`: `digits`, a folder of pictures, recordings or tables, an `.npz` or a `.csv` file.

    Raises:
        DataError: nothing there, or nothing that can be trained on; one line that says what and where.
    """
    name, options = str(source), options or Options()
    kinds = [cast(Source, registry.load("ratti.data.sources", m)) for m in registry.modules("ratti.data.sources")]
    for kind in kinds:
        if kind.accepts(name):
            found = kind.load(name, options)
            return found if options.goal is None else found.made_for(options.goal)
    forms = "; ".join(kind.FORMS for kind in kinds)
    what = "no data set of a known kind" if Path(name).exists() else "no such file or folder"
    raise DataError(f"{name}: {what}; a data set is {forms}")
