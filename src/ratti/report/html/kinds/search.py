"""The `report.json` of a search: its front, every net that was trained, and the bundles of the front."""

from __future__ import annotations

from pathlib import Path

from ..runs import FILE, Json, Run, read_json
from . import bundle

SCHEMA = "ratti.search/1"


def run(content: Json, folder: Path) -> Run:
    folders = [folder / "nets" / Path(f["path"]).name for f in content["front"]]
    models = tuple(bundle.model(read_json(f / FILE), f) for f in folders if (f / FILE).is_file())
    versions: Json = next((c.get("versions", {}) for m in models for c in m.checks), {})
    return Run(Path(content["study"]).name, "search", models, versions, None, content)
