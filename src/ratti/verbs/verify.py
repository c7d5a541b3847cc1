"""The same inputs everywhere: do all engines give the same bits?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import models, registry, targets
from .. import runtimes as engine_registry
from ..data.score import score
from ..deploy import deploy, outputs_of, total_ram
from ..emit.features import emit
from ..errors import InputError, MissingDependencyError
from ..graph import interpreter
from ..graph.apart import apart, inputs_apart
from ..graph.ir import Graph
from ..runtimes import Engine, executorch, onnxruntime
from ..samples import front_end_of, int8_input, make_inputs, make_samples, real_count
from ..targets import Target
from ..types import Array
from ._float import as_fed
from ._front_end import codes_on

SCHEMA = "ratti.verify/1"
RUNTIMES = ("tflm", "host:c")  # the default: both exact
ALL = "all"
OPERATOR_INPUTS = 4  # inferences on which each operator is judged alone
MOST_OPERATOR_LSB = 1  # by which an operator of an engine with another rounding rule may differ
MOST_ACCURACY_POINTS = 0.2  # by which its accuracy may
Outputs = list[list[Array]]  # [inference][output]


@dataclass(frozen=True)
class VerifyRow:
    """One engine against the interpreter: elements compared, how many differ, by how many LSB at most.

    An engine that is not exact rounds by another rule. It is judged operator by operator, each fed with the
    interpreter's values (`operator_lsb`), and by its accuracy; what differs end to end is told (`lsb`), not judged.
    `skipped` says why an engine did not run; then no element was compared.
    """

    where: str
    elements: int
    differ: int
    max_lsb: int
    skipped: str = ""
    exact: bool = True
    rounding: str = ""
    lsb: tuple[int, ...] = ()  # elements that differ by 0, 1, 2, … LSB
    operator_lsb: int | None = None  # largest difference of one operator alone; None for exact engines
    accuracy: float | None = None  # percent of the labelled samples
    reference_accuracy: float | None = None
    labelled: int = 0

    @property
    def passes(self) -> bool:
        """Exact: no element differs. Else: no operator by more than 1 LSB, accuracy within 0.2 points or one sample."""
        if self.exact:
            return self.differ == 0
        close = self.operator_lsb is None or self.operator_lsb <= MOST_OPERATOR_LSB
        if self.accuracy is None or self.reference_accuracy is None:
            return close
        allowed = max(MOST_ACCURACY_POINTS, 100 / self.labelled)
        return close and abs(self.accuracy - self.reference_accuracy) <= allowed + 1e-9


@dataclass(frozen=True)
class VerifyResult:
    """All engines. `distinct` counts different outputs of the interpreter: 1 would prove nothing."""

    model: str
    inputs: int
    distinct: int
    rows: tuple[VerifyRow, ...]

    @property
    def passes(self) -> bool:
        """Every engine that ran passes (`VerifyRow.passes`), one did, and the outputs are not constant."""
        ran = [r for r in self.rows[1:] if not r.skipped]
        return self.distinct > 1 and bool(ran) and all(r.passes for r in ran)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "inputs": self.inputs,
            "distinct_outputs": self.distinct,
            "passes": self.passes,
            "rows": [{**vars(r), "passes": r.passes} for r in self.rows],
        }

    def __str__(self) -> str:
        from ..report import tables

        return tables.verify(self)


def verify(
    model: str | Path | Graph,
    target_ids: Sequence[str] = (),
    runtimes: Sequence[str] = RUNTIMES,
    count: int = 24,
    real: Sequence[Array] = (),
    optimize: str = "speed",
    labels: Array | None = None,
    ram_limit: int | None = None,
    samples: Array | None = None,
) -> VerifyResult:
    """Runs `count` inputs (real samples first, extremes, random codes) through every engine.

    The interpreter is the reference. `runtimes` are names of `runtimes.engines()`; `all` takes those that are installed
    and can hold the model, and says of the others why not. `labels` are the classes of the real samples. A model that
    does not fit a target's memories is still emulated, on the same core with larger ones, and its row says so.
    `ram_limit` (bytes) has the devices run the plan that `check` finds for it. A model's front end is held against its
    own definition, on this computer and on the devices, with `samples` (N, …) first.

    InputError for an unknown target or runtime, UnsupportedError for a named engine that cannot take the model,
    MissingDependencyError for one that is not installed.
    """
    whole = ALL in runtimes
    engines = [engine_registry.get(name) for name in (engine_registry.engines() if whole else runtimes)]
    if not engines and not target_ids:
        known = ", ".join(engine_registry.engines())
        raise InputError(f"nothing to compare with: name targets, or runtimes of {known}")
    if optimize not in ("speed", "size"):
        raise registry.unknown("optimization", optimize, ("speed", "size"))
    devices = [targets.load(t) for t in target_ids]
    graph = models.load(model)
    inputs = make_inputs(graph, count, real)
    reference = [list(interpreter.run(graph, row).values()) for row in inputs]
    classes = labels[: real_count(count, real)] if labels is not None and len(labels) else None
    trial = _Trial(graph, inputs, reference, classes)
    rows = [replace(trial.row("interpreter", reference), rounding="the definition")]
    for engine in engines:
        reason = _obstacle(engine, graph) if whole else ""
        skipped = VerifyRow(engine.name, 0, 0, 0, reason, engine.exact, engine.rounding)
        rows.append(skipped if reason else _judge(engine, trial))
    if whole:
        lists = {**onnxruntime.delegates(graph), **executorch.delegates(graph)}.items()
        rows += [VerifyRow(name, 0, 0, 0, said, exact=False) for name, said in lists]
    for device in devices:
        measured = deploy(graph, device, inputs, optimize, ram_limit)
        note = "" if measured.fits else " (memories enlarged)"
        if ram_limit is not None:
            note += f" ({total_ram(measured.measurement):,} B of RAM: {measured.deployment.plan.how})"
        rows.append(trial.row(f"emulator:{device.id}{note}", outputs_of(measured)))
    rows += _front_end_rows(graph, ["host:c"] * ("host:c" in runtimes or whole), devices, count, samples, optimize)
    distinct = len({b"".join(y.tobytes() for y in row) for row in reference})
    return VerifyResult(str(model) if not isinstance(model, Graph) else graph.name, len(inputs), distinct, tuple(rows))


def _front_end_rows(graph: Graph, hosts: Sequence[str], devices: Sequence[Target], count: int, real: Array | None,
                    optimize: str) -> Iterator[VerifyRow]:
    """The front end of `graph`, where it has one, everywhere that it runs."""
    found = front_end_of(graph)
    if found is None:
        return
    front_end, codes = found
    samples, sources = make_samples(front_end, count, real), emit(front_end, codes, graph.name)
    wanted = codes(front_end.compute(samples)).reshape(len(samples), -1)
    places: list[str | Target] = [*hosts, *devices]
    for where in places:
        label = where if isinstance(where, str) else f"emulator:{where.id}"
        try:
            off = np.abs(codes_on(where, sources, samples, optimize).astype(np.int64) - wanted)
        except MissingDependencyError as error:
            yield VerifyRow(f"{label} front end", 0, 0, 0, str(error))
            continue
        yield VerifyRow(f"{label} front end", off.size, int(np.count_nonzero(off)), int(off.max(initial=0)))


@dataclass(frozen=True, eq=False)
class _Trial:
    """What all engines are held against. `classes` are the labels of the first inputs, if they have any."""

    graph: Graph
    inputs: Sequence[Sequence[Array]]
    reference: Outputs
    classes: Array | None

    def row(self, where: str, got: Outputs) -> VerifyRow:
        """`got` beside the reference."""
        off = np.concatenate([np.ravel(d) for d in _differences(self.reference, got)])
        row = VerifyRow(where, off.size, int(np.count_nonzero(off)), int(off.max(initial=0)))
        row = replace(row, lsb=tuple(np.bincount(off).tolist()))
        if self.classes is None:
            return row
        wanted, labelled = self._accuracy(self.reference), len(self.classes)
        return replace(row, accuracy=self._accuracy(got), reference_accuracy=wanted, labelled=labelled)

    def operators(self, engine: Engine) -> int:
        """The largest difference of one operator alone, in LSB: each is fed with the interpreter's values."""
        separate = apart(self.graph)
        values = [interpreter.run(self.graph, row, keep=True) for row in self.inputs[:OPERATOR_INPUTS]]
        got = _runtime(engine, separate, [inputs_apart(self.graph, v) for v in values])
        wanted = [[v[name] for name in separate.outputs] for v in values]
        return max(int(d.max(initial=0)) for d in _differences(wanted, got))

    def _accuracy(self, outputs: Outputs) -> float:
        """Percent of the labelled inferences whose largest output is their class."""
        assert self.classes is not None
        rows = np.concatenate([row[0].reshape(1, -1) for row in outputs[: len(self.classes)]])
        return 100 * score(rows, self.classes).accuracy


def _judge(engine: Engine, trial: _Trial) -> VerifyRow:
    row = trial.row(engine.name, _runtime(engine, trial.graph, trial.inputs))
    operator_lsb = None if engine.exact else trial.operators(engine)
    return replace(row, exact=engine.exact, rounding=engine.rounding, operator_lsb=operator_lsb)


def _runtime(engine: Engine, graph: Graph, inputs: Sequence[Sequence[Array]]) -> Outputs:
    infer = engine.run(graph)
    return [infer(row) for row in inputs]


def _obstacle(engine: Engine, graph: Graph) -> str:
    """Why `engine` cannot run `graph` here; empty where it can."""
    return engine.supports(graph) if engine.available() else "not installed"


def _differences(reference: Outputs, got: Outputs) -> Iterator[Array]:
    for want_row, got_row in zip(reference, got, strict=True):
        for want, have in zip(want_row, got_row, strict=True):
            if want.shape != have.shape:
                raise InputError(f"an output of shape {have.shape} where {want.shape} is expected")
            yield np.abs(want.astype(np.int64) - have.astype(np.int64))


def real_samples(graph: Graph, model: str, data: str | None, count: int) -> list[Array]:
    """Codes of real samples: see `labelled_samples`."""
    return labelled_samples(graph, model, data, count)[0]


def labelled_samples(
    graph: Graph, model: str, data: str | None, count: int
) -> tuple[list[Array], Array | None, Array | None]:
    """(codes of real samples, their classes, what the sensor gave for them where there is a front end), from the
    validation samples of `data`, never the test set; without `data` a bundle's own vectors, without classes.
    """
    vectors = Path(model) / "vectors.npz"
    found = front_end_of(graph) if graph.is_quantized else None
    if data is None:
        if not vectors.is_file():
            return [], None, None
        with np.load(vectors, allow_pickle=False) as stored:
            samples = stored["samples"][:count] if "samples" in stored and found is not None else None
            return [stored[f"input_{k}"][:count] for k in range(len(graph.inputs))], None, samples
    from ..data import Options, load

    (name,) = graph.inputs[:1]
    want = int8_input(graph, name)
    if len(want.shape) != 4:
        raise InputError(f"--samples works for models whose input is (1, H, W, C); '{name}' is {list(want.shape)}")
    options = Options(size=(want.shape[1], want.shape[2]), channels=want.shape[3],
                      front_end=found[0] if found else None, goal=graph.metadata.get("goal"))
    dataset = as_fed(load(data, options), graph)
    if dataset.input_shape != want.shape[1:] or len(graph.inputs) != (2 if dataset.numbers else 1):
        beside = f" with {dataset.numbers} numbers beside them" if dataset.numbers else ""
        raise InputError(f"samples of '{data}' are {dataset.input_shape}{beside}, the model takes "
                         f"{', '.join(str(graph.type(n).shape[1:]) for n in graph.inputs)}")
    part = dataset.val.take(slice(count))
    quants = [int8_input(graph, n).quant for n in graph.inputs]
    codes = dataset.codes(part, [q for q in quants if q is not None])
    (classes,) = (graph.type(n).elements for n in graph.outputs[:1])
    labels = part.y if dataset.goal == "classify" and classes == len(dataset.class_names) else None
    return codes, labels, dataset.samples(part) if found else None
