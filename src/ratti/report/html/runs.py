"""What a report is made of: one run, read from its files, whatever verb made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError

Json = Mapping[str, Any]
MOST_BYTES = 64 << 20
FILE = "report.json"


@dataclass(frozen=True)
class Model:
    """One net of a run. `result` is what `build` wrote of it, None where it was only checked; `folder` its bundle."""

    name: str
    checks: tuple[Json, ...]
    result: Json | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Run:
    """What one page shows. `verb` made it; `versions` are of the packages that did."""

    title: str
    verb: str
    models: tuple[Model, ...]
    versions: Json
    data: Json | None = None
    study: Json | None = None  # the report of a search
    compression: Json | None = None  # the report of a compression


def read_json(path: Path) -> Json:
    """The object in a JSON file. InputError where there is none."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"'{path}' has {path.stat().st_size:,} bytes: no report is that large")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"'{path}' is no JSON file: {error}") from None
    if not isinstance(content, dict):
        raise InputError(f"'{path}' holds no report: a JSON object with a schema is needed")
    return content
