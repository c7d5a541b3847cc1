"""The `report.json` of a compression: its ladder, and the bundle that it ends in."""

from __future__ import annotations

from pathlib import Path

from ..runs import Json, Run
from . import bundle

SCHEMA = "ratti.compress/1"


def run(content: Json, folder: Path) -> Run:
    model = bundle.model(content, folder / Path(content["bundle"]).name)
    return Run(model.name, "compress", (model,), content["checks"][0].get("versions", {}), compression=content)
