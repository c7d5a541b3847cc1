"""The `report.json` of a build: one model for each bundle beside it."""

from __future__ import annotations

from pathlib import Path

from ..runs import Json, Run
from . import bundle

SCHEMA = "ratti.build/1"


def run(content: Json, folder: Path) -> Run:
    models = tuple(bundle.model(m, folder / Path(m["bundle"]).name) for m in content["models"])
    return Run(content["name"], "build", models, content.get("versions", {}), content["data"])
