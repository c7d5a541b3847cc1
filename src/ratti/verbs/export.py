"""Writing a model as files for other programs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .. import models, registry, runtimes, targets
from ..deploy import prepare
from ..emit import c_test
from ..errors import InputError
from ..graph import interpreter
from ..graph.ir import Graph
from ..runtimes import Engine
from ..samples import make_inputs
from ..types import Array

VECTORS = 8  # extremes and random codes in the exported C test

Files = Mapping[str, bytes]


def export(
    model: str | Path | Graph,
    kinds: Sequence[str] = ("c",),
    out: Path = Path(),
    target: str | None = None,
    name: str | None = None,
    real: Sequence[Array] = (),
) -> list[Path]:
    """Writes `model` as each of `kinds` (c, and what the runtimes write: tflite, onnx, …) into `out`; gives the paths.

    `target` chooses the kernels; without it the C runs on any compiler. All files are made before the first is
    written. InputError for an unknown kind or target, or a name that is no C identifier.
    """
    writers: Mapping[str, Callable[[], Files]] = {
        "c": lambda: c_files(graph, targets.load(target).isa if target else "portable", name, real),
    }
    others = runtimes.kinds()
    if not kinds:
        raise InputError(f"nothing to export: name at least one of {', '.join([*writers, *others])}")
    for kind in kinds:
        if kind not in writers and kind not in others:
            raise registry.unknown("export kind", kind, [*writers, *others])
    if name is not None and not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise InputError(f"the name '{name}' is no C identifier: letters, digits and _, not starting with a digit")
    check_folder(out)
    graph = models.load(model)
    files: dict[str, bytes] = {}
    for kind in kinds:
        files.update(writers[kind]() if kind in writers else _runtime_files(others[kind], graph, name))
    return write_files(files, out)


def _runtime_files(engine: Engine, graph: Graph, name: str | None) -> Files:
    """What `engine` writes, under the model's name."""
    return {f"{name or graph.name}{ending}": data for ending, data in engine.export(graph).items()}


def check_folder(out: Path) -> None:
    """InputError unless `out` is a folder that can be written to, or can be made."""
    at = next(p for p in (out, *out.absolute().parents) if p.exists())
    if not at.is_dir():
        raise InputError(f"cannot write to '{out}': '{at}' is a file; name a folder")
    if not os.access(at, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to '{out}': no permission in '{at}'")


def write_files(files: Files, out: Path) -> list[Path]:
    """Writes each file whole or not at all; gives the paths in order of name."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            temporary = out / f".{name}.part"
            temporary.write_bytes(data)
            temporary.replace(out / name)
    except OSError as error:
        raise InputError(f"cannot write to '{out}': {error.strerror or error}") from None
    return [out / name for name in sorted(files)]


def c_files(graph: Graph, isa: str, name: str | None = None, real: Sequence[Array] = ()) -> Files:
    """Header, source and test of `graph` for the instruction set `isa`; the test's first vectors are `real`."""
    deployment = prepare(graph, isa, name=name)
    inputs = make_inputs(graph, VECTORS + (len(real[0]) if real else 0), real)
    outputs = [list(interpreter.run(graph, row).values()) for row in inputs]
    files = {**deployment.sources.files, **c_test.emit(deployment.sources, name or graph.name, inputs, outputs)}
    return {file: text.encode() for file, text in files.items()}


