"""The `report.json` of one bundle."""

from __future__ import annotations

from pathlib import Path

from ..runs import Json, Model, Run

SCHEMA = "ratti.bundle/1"


def model(content: Json, folder: Path) -> Model:
    """The net of a bundle that lies in `folder`."""
    return Model(content["net"], tuple(content["checks"]), content, folder)


def run(content: Json, folder: Path) -> Run:
    return Run(content["net"], "build", (model(content, folder),), content["checks"][0].get("versions", {}))
