"""The `report.json` of one bundle."""

from __future__ import annotations

from pathlib import Path

from ..runs import Json, Model, Run

SCHEMA = "ratti.bundle/1"


def model(content: Json, folder: Path) -> Model:
    """The net of a bundle that lies in `folder`; the page's commands name the bundle, as it was called when made."""
    checks = tuple({**check, "model": content["bundle"]} for check in content["checks"])
    return Model(_name(content), checks, content, folder)


def _name(content: Json) -> str:
    """The net's id; of a net that was given as a file, the file's name."""
    net = str(content["net"])
    return Path(net).stem if net.endswith((".yaml", ".yml")) else net


def run(content: Json, folder: Path) -> Run:
    return Run(_name(content), "build", (model(content, folder),), content["checks"][0].get("versions", {}))
