"""Writing a model as files for other programs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .. import models, registry, runtimes, targets
from ..deploy import prepare, prepare_rust
from ..emit import c_test, cpp, cpp_test, features, features_test, rust_test
from ..errors import InputError
from ..graph import interpreter
from ..graph.ir import Graph
from ..runtimes import Engine
from ..samples import front_end_of, make_inputs, make_samples
from ..types import Array

VECTORS = 8  # extremes and random codes in the exported tests
VECTOR_SAMPLES_BYTES = 1 << 18  # of samples in the test of a front end

Files = Mapping[str, bytes]


def export(
    model: str | Path | Graph,
    kinds: Sequence[str] = ("c",),
    out: Path = Path(),
    target: str | None = None,
    name: str | None = None,
    real: Sequence[Array] = (),
) -> list[Path]:
    """Writes `model` as each of `kinds` (c, cpp, rust, and what the runtimes write: tflite, onnx, …) into `out`; gives
    the paths.

    `target` chooses the kernels of C and C++; without it they run on any compiler. Rust is a crate in a folder of the
    model's name. All files are made before the first is written. InputError for an unknown kind or target, or a name
    that is no identifier.
    """
    writers: Mapping[str, Callable[[], Files]] = {
        "c": lambda: c_files(graph, targets.load(target).isa if target else "portable", name, real),
        "cpp": lambda: cpp_files(graph, targets.load(target).isa if target else "portable", name, real),
        "rust": lambda: rust_files(graph, name, real),
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
    """Writes each file whole or not at all; gives the paths in order of name. Names may have folders."""
    try:
        for name, data in files.items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.part")
            temporary.write_bytes(data)
            temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write to '{out}': {error.strerror or error}") from None
    return [out / name for name in sorted(files)]


def c_files(
    graph: Graph, isa: str, name: str | None = None, real: Sequence[Array] = (), samples: Array | None = None
) -> Files:
    """Header, source and test of `graph` for the instruction set `isa`, and of its front end where it has one; the
    first vectors of the tests are `real` and `samples` (N, …).
    """
    sources = prepare(graph, isa, name=name).sources
    test = c_test.emit(sources, name or graph.name, *_vectors(graph, real))
    return _encoded({**sources.files, **test, **_front_end_files(graph, name or graph.name, samples)})


def cpp_files(graph: Graph, isa: str, name: str | None = None, real: Sequence[Array] = ()) -> Files:
    """A C++ header over the C header and source, and its test; otherwise as `c_files`."""
    sources, name = prepare(graph, isa, name=name).sources, name or graph.name
    test = cpp_test.emit(sources, name, *_vectors(graph, real))
    return _encoded({**sources.files, **cpp.emit(sources, name), **test, **_front_end_files(graph, name)})


def _front_end_files(graph: Graph, name: str, samples: Array | None = None) -> Mapping[str, str]:
    found = front_end_of(graph)
    if found is None:
        return {}
    front_end, codes = found
    sources = features.emit(front_end, codes, name)
    most = max(2, VECTOR_SAMPLES_BYTES // sources.samples_bytes)  # source text is several times as long
    vectors = make_samples(front_end, min(most, VECTORS + (0 if samples is None else len(samples))), samples)
    return {**sources.files, **features_test.emit(sources, vectors, codes(front_end.compute(vectors)))}


def rust_files(graph: Graph, name: str | None = None, real: Sequence[Array] = ()) -> Files:
    """A crate in a folder of its own, with its test."""
    crate = prepare_rust(graph, name)
    files = {**crate.files, **rust_test.emit(crate, *_vectors(graph, real))}
    return _encoded({f"{crate.name}/{path}": text for path, text in files.items()})


def _vectors(graph: Graph, real: Sequence[Array]) -> tuple[list[list[Array]], list[list[Array]]]:
    """Inputs, the first of them `real`, and the outputs that the interpreter gives."""
    inputs = make_inputs(graph, VECTORS + (len(real[0]) if real else 0), real)
    return inputs, [list(interpreter.run(graph, row).values()) for row in inputs]


def _encoded(files: Mapping[str, str]) -> Files:
    return {file: text.encode() for file, text in files.items()}
