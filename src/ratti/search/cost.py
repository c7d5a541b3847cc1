"""What a net costs on a target: composed of its layers, each compiled and run there once.

A layer is what the planner made of it: a kernel with its constants, behind all passes. Its figures are kept in SQLite
under the content of the kernel's files, the shapes and flags, and the target; so a changed kernel is measured anew.
Instructions and cycles of a net are sums; its RAM is the planner's arena, its flash the packed tables and the code of
its distinct layers. Nets run layer by layer: streams, which trade instructions for RAM, are left to finalists.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

import numpy as np

from ..emit.c import headers
from ..graph.ir import Graph, Node
from ..graph.passes import run_pipeline
from ..kernels import FEATURES, SPARE_FLASH, Kernel, Work, candidates, source
from ..nets import NetSpec, random_graph, random_weights
from ..ops.base import Operand
from ..ops.reshape import Reshape
from ..plan import LayerFigures, Meter, Plan, Step
from ..plan.layers import Layer, Layers
from ..plan.layout import Unit, lay_out
from ..plan.order import reorder
from ..targets import Target

FIELDS = ("instructions", "cycles_low", "cycles_high", "code_bytes", "shared_bytes", "beside_bytes")
TABLE = f"""CREATE TABLE IF NOT EXISTS layers (
  key TEXT PRIMARY KEY, target TEXT, kernel TEXT, kernel_hash TEXT, op TEXT, shapes TEXT, flags TEXT,
  {', '.join(f'{f} NUMERIC' for f in FIELDS)})"""


@dataclass(frozen=True)
class LayerCost:
    """One layer of a net by its name, `b<block from 1>_<layer>`."""

    name: str
    kernel: str
    instructions: int
    cycles: float | None  # at zero wait states


@dataclass(frozen=True)
class Cost:
    """What a net takes: bytes of RAM (arena, static data, stack) and flash, instructions and cycles of an inference.
    Cycles at zero wait states; latency at the part's own where they are known. None: no source was read.
    """

    ram_bytes: int
    flash_bytes: int
    instructions: int
    cycles: float | None
    latency_ms: float | None
    energy_uj: float | None
    layers: tuple[LayerCost, ...] = ()

    @property
    def work(self) -> float:
        """What a search makes small: cycles, or instructions where no table of cycles was read."""
        return self.instructions if self.cycles is None else self.cycles


@dataclass(frozen=True, eq=False)
class _Known:
    """What was found out about a layer: it serves every equal one, whatever its weights."""

    work: Work
    kernels: tuple[Kernel, ...]


class CostModel:
    """Costs of nets on `target`, measured by `meter` where a layer is new; `path` is the SQLite file of figures.

    `flash_limit`: nets above it are costed without kernels that spend flash on speed, as they would be deployed.
    """

    def __init__(self, target: Target, meter: Meter, path: Path, flash_limit: int | None = None) -> None:
        self.target, self.meter, self.path = target, meter, path
        self.flash_limit = min(flash_limit or target.flash_bytes, target.flash_bytes)
        self.measured = 0  # layers, by this object
        self._known: dict[tuple[object, ...], _Known] = {}
        self._keys: dict[tuple[str, Work], str] = {}
        self._figures: dict[str, LayerFigures] = {}
        self._connection: tuple[int, sqlite3.Connection] | None = None

    def __call__(self, spec: NetSpec) -> Cost:
        """The cost of one net."""
        return self.many([spec])[0]

    def floor(self, spec: NetSpec) -> tuple[int, int]:
        """Bytes of RAM and flash that the net takes at least: the planner's arena, the weights. Nothing is compiled."""
        plan = self.plan(run_pipeline(random_graph(spec)), FEATURES[self.target.isa])
        weights = sum(o.type.bytes for s in plan.steps for o in s.work.operands if o.data is not None)
        return plan.arena_bytes, weights

    def many(self, specs: Sequence[NetSpec]) -> list[Cost]:
        """Costs of nets; what is new in all of them is compiled together."""
        features = FEATURES[self.target.isa]
        plans = [self.plan(run_pipeline(random_graph(s)), features) for s in specs]
        costs = self._compose(plans)
        large = [k for k, c in enumerate(costs) if c.flash_bytes > self.flash_limit]
        if large and SPARE_FLASH in features:
            lean = [self.plan(plans[k].graph, features - {SPARE_FLASH}) for k in large]
            for k, cost in zip(large, self._compose(lean), strict=True):
                if cost.flash_bytes < costs[k].flash_bytes:
                    costs[k] = cost
        return costs

    def plan(self, graph: Graph, features: frozenset[str]) -> Plan:
        """The plan of a graph behind all passes, layer by layer, with the fastest kernels."""
        items = []
        for node in graph.nodes:
            if not isinstance(node.op, Reshape):
                known = self._know(graph, node, features)
                items.append(Layer(node, known.work, known.kernels, known.kernels[0]))
        layers, _ = reorder(Layers(graph, tuple(items)))
        return lay_out(layers, [Unit(k, k + 1) for k in range(len(layers.items))])

    def _know(self, graph: Graph, node: Node, features: frozenset[str]) -> _Known:
        work = Work.of(graph, node, features)
        held = [o.data.tobytes() for o in work.operands if o.data is not None and not _weighs(work)]
        types = tuple(o.type if o.data is None else (o.type.shape, o.type.dtype) for o in work.operands)
        key = (repr(node.op), types, tuple(held), work.outputs, features)
        if key not in self._known:
            work = canonical(work)
            self._known[key] = _Known(work, tuple(candidates(work)))
        return self._known[key]

    def _compose(self, plans: Sequence[Plan]) -> list[Cost]:
        steps = {self._key(s): s for p in plans for s in p.steps}
        self._load([k for k in steps if k not in self._figures])
        new = {k: s for k, s in steps.items() if k not in self._figures}
        if new:
            self._save(new, self.meter(list(new.values())))
            self.measured += len(new)
            self._load(list(new))  # where another process was first, its figures count for all
        return [self._sum(p) for p in plans]

    def _sum(self, plan: Plan) -> Cost:
        keys = [self._key(s) for s in plan.steps]
        figures = [self._figures[k] for k in keys]
        low = [f.cycles_low for f in figures if f.cycles_low is not None]
        high = [f.cycles_high for f in figures if f.cycles_high is not None]
        cycles = sum(low) if len(low) == len(figures) else None
        slow = sum(high) if len(high) == len(figures) else cycles
        latency = None if slow is None else slow * 1e3 / self.target.clock_hz
        power = self.target.active_mw
        code = {k: f.code_bytes for k, f in zip(keys, figures, strict=True)}
        shared = max(f.shared_bytes for f in figures)
        names = zip(plan.steps, figures, strict=True)
        return Cost(
            ram_bytes=plan.arena_bytes + max(f.beside_bytes for f in figures),
            flash_bytes=shared + sum(code.values()) + _tables(plan),
            instructions=sum(f.instructions for f in figures),
            cycles=cycles,
            latency_ms=latency,
            energy_uj=None if latency is None or power is None else latency * power,
            layers=tuple(LayerCost(s.node.name, s.kernel.name, f.instructions, f.cycles_low) for s, f in names),
        )

    def _key(self, step: Step) -> str:
        """The name under which a layer's figures are kept. Works are shared by equal layers, so it is made once."""
        at = step.kernel.name, step.work
        if at not in self._keys:
            found = hashlib.sha256("\n".join([self.meter.identity, *description(step)]).encode())
            for table in step.call.tables:  # weights are canonical: they change with how they are packed
                found.update(table.data.tobytes())
            self._keys[at] = found.hexdigest()[:32]
        return self._keys[at]

    def _database(self) -> sqlite3.Connection:
        """A connection of this process: one that was inherited by a fork is left alone."""
        if self._connection is None or self._connection[0] != os.getpid():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            opened = sqlite3.connect(self.path, timeout=60)
            opened.execute(TABLE)
            opened.commit()
            self._connection = os.getpid(), opened
        return self._connection[1]

    def _load(self, keys: Sequence[str]) -> None:
        for k in range(0, len(keys), 500):
            some = keys[k : k + 500]
            query = f"SELECT key, {', '.join(FIELDS)} FROM layers WHERE key IN ({','.join('?' * len(some))})"
            for key, *values in self._database().execute(query, some):
                self._figures[key] = LayerFigures(*values)

    def _save(self, steps: Mapping[str, Step], figures: Sequence[LayerFigures]) -> None:
        marks = ",".join("?" * (7 + len(FIELDS)))
        rows = [
            (key, self.target.id, *description(step), *astuple(own))
            for (key, step), own in zip(steps.items(), figures, strict=True)
        ]
        with self._database() as transaction:
            transaction.executemany(f"INSERT OR IGNORE INTO layers VALUES ({marks})", rows)

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_connection": None, "_known": {}, "_keys": {}}


def _weighs(work: Work) -> bool:
    """Whether a layer has weights, by output channel."""
    weights = work.operands[1:2]
    return bool(weights) and weights[0].data is not None and _axis(weights[0]) is not None


def _axis(operand: Operand) -> int | None:
    return None if operand.type.quant is None else operand.type.quant.axis


def canonical(work: Work) -> Work:
    """The layer with weights that follow from its op and shapes alone: so its kernel and its cost repeat in every net
    and every process.
    """
    if not _weighs(work):
        return work
    x, *constants = work.operands
    shape, axis = constants[0].type.shape, _axis(constants[0])
    assert axis is not None
    text = repr((work.op, x.type, shape, work.outputs))
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little"))
    drawn = random_weights(rng, shape, axis, x.type.scale)
    weights = tuple(replace(o, type=replace(o.type, quant=quant), data=data)
                    for o, (data, quant) in zip(constants, drawn, strict=False))
    return replace(work, operands=(x, *weights))


def description(step: Step) -> tuple[str, str, str, str, str]:
    """Kernel, hash of its files, op, shapes, flags: all that a layer's figures depend on beside the target."""
    texts = "".join(source(h) for h in headers(step.kernel.header))
    types = [o.type for o in step.work.operands if o.data is None]
    shapes = " ".join("x".join(map(str, t.shape)) for t in (*types, step.work.output))
    tables = ", ".join(f"{t.role} {t.ctype}{list(t.data.shape)}" for t in step.call.tables)
    flags = f"{step.call.function}({dict(step.call.constants)}) {tables} scratch {step.scratch_bytes}"
    digest = hashlib.sha256(texts.encode()).hexdigest()[:32]
    return step.kernel.name, digest, step.node.op.name, shapes, flags


def _tables(plan: Plan) -> int:
    """Bytes of all constant arrays; those that do not follow from weights are shared by equal layers."""
    found: dict[object, int] = {}
    for step in plan.steps:
        has_weights = any(o.data is not None for o in step.work.operands)
        for table in step.call.tables:
            key = (step.node.name, table.role) if has_weights else (table.ctype, table.data.tobytes())
            found[key] = table.bytes
    return sum(found.values())
