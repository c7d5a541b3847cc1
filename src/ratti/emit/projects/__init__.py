"""Projects for build systems: a folder each that builds as it stands, with an example that runs one test vector.

A project is one module, found by its name (`esp_idf` is written `esp-idf`). It has

    LANGUAGE        what it is made of: "c" or "rust"
    BUILD           the commands that build and run the example, in the project's folder
    files(parts)    its files, by path within the folder

and may have `prebuilt(parts)`: compiled libraries that come with it (see `parts.Prebuilt`), and `ISA`: the instruction
set that it is for.
"""

from __future__ import annotations

from types import ModuleType

from ... import registry


def ids() -> tuple[str, ...]:
    """All projects."""
    return tuple(name.replace("_", "-") for name in registry.modules(__name__))


def load(project: str) -> ModuleType:
    """The module of `project`; an unknown one is an InputError that lists what there is."""
    if project not in ids():
        raise registry.unknown("project", project, ids())
    return registry.load(__name__, project.replace("-", "_"))
