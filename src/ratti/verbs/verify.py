"""The same inputs everywhere: do all engines give the same bits?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, registry, targets
from ..deploy import deploy, outputs_of, prepare, prepare_rust
from ..errors import InputError
from ..graph import interpreter
from ..graph.ir import Graph
from ..samples import int8_input, make_inputs
from ..types import Array

SCHEMA = "ratti.verify/1"
RUNTIMES = ("tflm", "host:c", "host:cpp", "host:rust")
DEFAULT = RUNTIMES[:2]  # C++ is the same C again, and not everybody has a Rust compiler
Outputs = list[list[Array]]  # [inference][output]


@dataclass(frozen=True)
class VerifyRow:
    """One engine against the interpreter: elements compared, how many differ, by how many LSB at most.

    `skipped` says why an engine did not run; then no element was compared.
    """

    where: str
    elements: int
    differ: int
    max_lsb: int
    skipped: str = ""


@dataclass(frozen=True)
class VerifyResult:
    """All engines. `distinct` counts different outputs of the interpreter: 1 would prove nothing."""

    model: str
    inputs: int
    distinct: int
    rows: tuple[VerifyRow, ...]

    @property
    def passes(self) -> bool:
        """No element differs, every engine ran or does not fit, and the outputs are not constant."""
        return self.distinct > 1 and all(r.differ == 0 for r in self.rows)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "inputs": self.inputs,
            "distinct_outputs": self.distinct,
            "passes": self.passes,
            "rows": [vars(r) for r in self.rows],
        }

    def __str__(self) -> str:
        from ..report import tables

        return tables.verify(self)


def verify(
    model: str | Path | Graph,
    target_ids: Sequence[str] = (),
    runtimes: Sequence[str] = DEFAULT,
    count: int = 24,
    real: Sequence[Array] = (),
    optimize: str = "speed",
) -> VerifyResult:
    """Runs `count` inputs (real samples first, extremes, random codes) through every engine.

    The interpreter is the reference. A model that does not fit a target's memories is still emulated, on the same core
    with larger ones, and its row says so. InputError for an unknown target or runtime.
    """
    for runtime in runtimes:
        if runtime not in RUNTIMES:
            raise registry.unknown("runtime", runtime, RUNTIMES)
    if not runtimes and not target_ids:
        raise InputError(f"nothing to compare with: name targets, or runtimes of {', '.join(RUNTIMES)}")
    if optimize not in ("speed", "size"):
        raise registry.unknown("optimization", optimize, ("speed", "size"))
    devices = [targets.load(t) for t in target_ids]
    graph = models.load(model)
    inputs = make_inputs(graph, count, real)
    reference = [list(interpreter.run(graph, row).values()) for row in inputs]
    rows = [_compare("interpreter", reference, reference)]
    for runtime in runtimes:
        rows.append(_compare(runtime, reference, _runtime(runtime, graph, inputs)))
    for device in devices:
        measured = deploy(graph, device, inputs, optimize)
        note = "" if measured.fits else " (memories enlarged)"
        rows.append(_compare(f"emulator:{device.id}{note}", reference, outputs_of(measured)))
    distinct = len({b"".join(y.tobytes() for y in row) for row in reference})
    return VerifyResult(str(model) if not isinstance(model, Graph) else graph.name, len(inputs), distinct, tuple(rows))


def _runtime(runtime: str, graph: Graph, inputs: Sequence[Sequence[Array]]) -> Outputs:
    return _ENGINES[runtime](graph, inputs)


def _tflm(graph: Graph, inputs: Sequence[Sequence[Array]]) -> Outputs:
    from ..runtimes.tflm import Session

    session = Session(graph)
    return [session.run(row) for row in inputs]


def _host_c(graph: Graph, inputs: Sequence[Sequence[Array]]) -> Outputs:
    from ..device.host import HostModel

    with HostModel(prepare(graph, "portable").program) as host:
        return [_typed(graph, host.run(row)) for row in inputs]


def _host_cpp(graph: Graph, inputs: Sequence[Sequence[Array]]) -> Outputs:
    from ..device import host_cpp
    from ..device.host import HostModel

    with HostModel(host_cpp.program(prepare(graph, "portable").sources, graph.name)) as host:
        return [_typed(graph, host.run(row)) for row in inputs]


def _host_rust(graph: Graph, inputs: Sequence[Sequence[Array]]) -> Outputs:
    from ..device.host_rust import RustModel

    with RustModel(prepare_rust(graph)) as host:
        return [_typed(graph, host.run(row)) for row in inputs]


_ENGINES: Mapping[str, Callable[[Graph, Sequence[Sequence[Array]]], Outputs]] = dict(
    zip(RUNTIMES, (_tflm, _host_c, _host_cpp, _host_rust), strict=True)
)


def _typed(graph: Graph, raw: Sequence[Array]) -> list[Array]:
    """Bytes of the outputs as arrays of the graph's types."""
    types = [graph.type(name) for name in graph.outputs]
    return [np.asarray(x).view(t.dtype.numpy).reshape(t.shape) for x, t in zip(raw, types, strict=True)]


def _compare(where: str, reference: Outputs, got: Outputs) -> VerifyRow:
    differences = np.concatenate([np.ravel(d) for d in _differences(reference, got)])
    return VerifyRow(where, differences.size, int(np.count_nonzero(differences)), int(differences.max(initial=0)))


def _differences(reference: Outputs, got: Outputs) -> Iterator[Array]:
    for want_row, got_row in zip(reference, got, strict=True):
        for want, have in zip(want_row, got_row, strict=True):
            if want.shape != have.shape:
                raise InputError(f"an output of shape {have.shape} where {want.shape} is expected")
            yield np.abs(want.astype(np.int64) - have.astype(np.int64))


def real_samples(graph: Graph, model: str, data: str | None, count: int) -> list[Array]:
    """Codes of real samples: from `data` (a folder of pictures, an `.npz`, `digits`), or from a bundle's own vectors.

    Only models with one input of (1, H, W, C) take samples from `data`: its validation samples, never the test set.
    """
    vectors = Path(model) / "vectors.npz"
    if data is None:
        if not vectors.is_file():
            return []
        with np.load(vectors, allow_pickle=False) as stored:
            return [stored[f"input_{k}"][:count] for k in range(len(graph.inputs))]
    from ..data import Options, load

    (name,) = graph.inputs[:1]
    want = int8_input(graph, name)
    if len(graph.inputs) != 1 or len(want.shape) != 4 or want.shape[3] not in (1, 3):
        raise InputError(f"--samples works for models with one picture as input; '{name}' is {list(want.shape)}")
    channels: Any = want.shape[3]
    dataset = load(data, Options(size=(want.shape[1], want.shape[2]), channels=channels))
    if dataset.input_shape != want.shape[1:]:
        raise InputError(f"samples of '{data}' are {dataset.input_shape}, the model takes {want.shape[1:]}")
    quant = want.quant
    assert quant is not None
    return [quant.quantize(dataset.normalization.real(dataset.val.x[:count]), want.dtype)]
