"""What `ratti check --json` prints."""

from __future__ import annotations

from pathlib import Path

from ..runs import Json, Model, Run

SCHEMA = "ratti.check/1"


def run(content: Json, folder: Path) -> Run:
    name = Path(content["model"]).name or content["model"]
    return Run(name, "check", (Model(name, (content,)),), content.get("versions", {}))
