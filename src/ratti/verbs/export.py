"""Writing a model as files for other programs."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from .. import models, registry, runtimes, targets
from ..deploy import prepare, prepare_rust
from ..device import link, linux
from ..emit import answers, blob, c_test, cpp, cpp_test, features, features_test, projects, rust_test
from ..emit.parts import Parts
from ..emit.rust import RustCrate
from ..errors import InputError
from ..graph import interpreter
from ..graph.ir import Graph
from ..kernels import FEATURES
from ..runtimes import Engine
from ..samples import front_end_of, make_inputs, make_samples
from ..types import Array
from . import _boards

ANY = "portable"  # the instruction set that any compiler takes
WEIGHTS = ("linked", "blob")
BLOCK = "_weights.bin"  # how the name of a block of weights ends
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
    project: Sequence[str] = (),
    weights: str = "linked",
    say: Callable[[str], None] = lambda line: None,
) -> list[Path]:
    """Writes `model` as each of `kinds` (c, cpp, rust, link, and what the runtimes write: tflite, onnx, …) and as each
    `project` (cmake, arduino, …) into `out`; gives the paths.

    `target` chooses the kernels of C and C++, a part or an instruction set (`neon`); without it any compiler takes
    them. Rust is a crate in a folder of the model's name, a project a folder `<name>-<project>`. `weights` are `linked`
    into the C, or a `blob`: a block that is flashed and updated by itself: `say` is told whether firmware that was
    built from what `out` held before takes it. All files are made before the first is written. InputError for an
    unknown kind, project or target, or a name that is no identifier.
    """
    writers: Mapping[str, Callable[[], Files]] = {
        "c": lambda: c_files(graph, isa or ANY, name, real, weights_apart=weights == "blob"),
        "cpp": lambda: cpp_files(graph, isa or ANY, name, real),
        "rust": lambda: rust_files(graph, name, real),
        "link": lambda: link_files(graph, isa or ANY, name),
    }
    others = runtimes.kinds()
    if not kinds and not project:
        raise InputError(f"nothing to export: name at least one of {', '.join([*writers, *others])}")
    for kind in kinds:
        if kind not in writers and kind not in others:
            raise registry.unknown("export kind", kind, [*writers, *others])
    if weights not in WEIGHTS:
        raise registry.unknown("place of weights", weights, WEIGHTS)
    if weights == "blob" and (project or list(kinds) != ["c"]):
        raise InputError("weights as a blob come with plain C: leave out other kinds and --project")
    for id in project:
        projects.load(id)
    if name is not None and not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise InputError(f"the name '{name}' is no C identifier: letters, digits and _, not starting with a digit")
    isa = instruction_set(target) if target else None
    check_folder(out)
    graph = models.load(model)
    files: dict[str, bytes] = {}
    for kind in kinds:
        files.update(writers[kind]() if kind in writers else _runtime_files(others[kind], graph, name))
    for id in project:
        files.update(project_files(graph, id, isa, name, real))
    for line in _updates(files, out):
        say(line)
    return write_files(files, out)


def instruction_set(target: str) -> str:
    """That of a part; or one by its own name, for processors that are no part (`neon`)."""
    return target if target in FEATURES and target not in targets.ids() else targets.load(target).isa


def _updates(files: Files, out: Path) -> Iterator[str]:
    """A line for each block of weights that takes the place of one for the same or for other code."""
    for file, data in files.items():
        if not file.endswith(BLOCK) or not (out / file).is_file():
            continue
        old, new = blob.made_for((out / file).read_bytes()), blob.made_for(data)
        if old == new:
            yield f"{file}: firmware built from what was in '{out}' takes these {len(data):,} bytes alone"
        elif old is not None:
            yield (f"warning: {file}: firmware built from what was in '{out}' refuses these weights (its interface "
                   f"is 0x{old:016x}, theirs 0x{new or 0:016x}): send code and weights together")


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
    graph: Graph,
    isa: str,
    name: str | None = None,
    real: Sequence[Array] = (),
    samples: Array | None = None,
    weights_apart: bool = False,
) -> Files:
    """Header, source and test of `graph` for the instruction set `isa`, and of its front end where it has one, and of
    what its codes mean where that is known; the first vectors of the tests are `real` and `samples` (N, …).
    """
    sources, name = prepare(graph, isa, name=name, weights_apart=weights_apart).sources, name or graph.name
    test = c_test.emit(sources, name, *_vectors(graph, real))
    files = _encoded({**sources.files, **test, **_files_beside(graph, name, samples)})
    if sources.weights is None:
        return files
    linkable = blob.linkable(name, sources.weights).encode()
    return {**files, f"{name}{BLOCK}": sources.weights, f"{name}_weights.c": linkable}


def cpp_files(graph: Graph, isa: str, name: str | None = None, real: Sequence[Array] = ()) -> Files:
    """A C++ header over the C header and source, and its test; otherwise as `c_files`."""
    sources, name = prepare(graph, isa, name=name).sources, name or graph.name
    test = cpp_test.emit(sources, name, *_vectors(graph, real))
    return _encoded({**sources.files, **cpp.emit(sources, name), **test, **_files_beside(graph, name)})


def _files_beside(graph: Graph, name: str, samples: Array | None = None) -> Mapping[str, str]:
    """What stands before the model and behind it: the front end with its test, and what codes mean."""
    answer = answers.emit(graph, name)
    found = front_end_of(graph)
    if found is None:
        return answer
    front_end, codes = found
    sources = features.emit(front_end, codes, name)
    most = max(2, VECTOR_SAMPLES_BYTES // sources.samples_bytes)  # source text is several times as long
    vectors = make_samples(front_end, min(most, VECTORS + (0 if samples is None else len(samples))), samples)
    return {**sources.files, **features_test.emit(sources, vectors, codes(front_end.compute(vectors))), **answer}


def link_files(graph: Graph, isa: str, name: str | None = None) -> Files:
    """What firmware needs beside the C to serve the model over a serial line (`ratti bench --on serial:PORT`)."""
    program = prepare(graph, isa, name=name).program
    return _encoded(link.sources(program, name or graph.name, _boards.number(graph)))


def rust_files(graph: Graph, name: str | None = None, real: Sequence[Array] = ()) -> Files:
    """A crate in a folder of its own, with its test."""
    crate = prepare_rust(graph, name)
    files = {**crate.files, **rust_test.emit(crate, *_vectors(graph, real))}
    return _encoded({f"{crate.name}/{path}": text for path, text in files.items()})


def project_files(
    graph: Graph, project: str, isa: str | None = None, name: str | None = None, real: Sequence[Array] = ()
) -> Files:
    """The folder `<name>-<project>`: the sources, an example on the first test vector, compiled libraries if any.

    Without `isa` the project's own instruction set is taken, or what any compiler takes.
    """
    module = projects.load(project)
    isa = isa or str(getattr(module, "ISA", ANY))
    inputs, outputs = _vectors(graph, real)
    if module.LANGUAGE == "rust":
        crate = prepare_rust(graph, name)
        parts = Parts(crate.name, crate, inputs[0], outputs[0])
    else:
        parts = Parts(name or graph.name, prepare(graph, isa, name=name).sources, inputs[0], outputs[0])
    files: dict[str, bytes] = {path: text.encode() for path, text in module.files(parts).items()}
    if isinstance(parts.sources, RustCrate):
        files.update(_encoded(rust_test.emit(parts.sources, inputs, outputs)))
    for library in module.prebuilt(parts) if hasattr(module, "prebuilt") else ():
        files[library.path] = linux.library(library.sources, library.abi, Path(library.path).name)
    return {f"{parts.name}-{project}/{path}": data for path, data in files.items()}


def _vectors(graph: Graph, real: Sequence[Array]) -> tuple[list[list[Array]], list[list[Array]]]:
    """Inputs, the first of them `real`, and the outputs that the interpreter gives."""
    inputs = make_inputs(graph, VECTORS + (len(real[0]) if real else 0), real)
    return inputs, [list(interpreter.run(graph, row).values()) for row in inputs]


def _encoded(files: Mapping[str, str]) -> Files:
    return {file: text.encode() for file, text in files.items()}
