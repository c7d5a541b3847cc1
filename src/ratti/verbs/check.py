"""Does a model fit a device, how fast is it, and what stands in the way?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import models, targets
from ..deploy import (
    Compiled,
    Deployment,
    Trade,
    compile_only,
    deploy,
    outputs_of,
    prepare,
    trade_off,
    why_not_run,
    within_flash,
)
from ..device.measure import Measurement, Span, StepFigures
from ..errors import InputError, RattiError
from ..graph import interpreter, passes
from ..graph.assume import NOTE, assume_int8
from ..graph.ir import Graph
from ..graph.passes import Saving
from ..plan import Patches, Plan, Step, Stream
from ..plan.memory import Tenant, tenants
from ..samples import front_end_of, make_inputs
from ..targets import Target
from ..types import How
from ..versions import versions
from ._advice import advise
from ._front_end import FrontEndFigures, added
from ._front_end import figures as front_end_figures

SCHEMA = "ratti.check/1"


@dataclass(frozen=True)
class Limits:
    """What the user allows; None is the device's own limit, or none."""

    ram_bytes: int | None = None
    flash_bytes: int | None = None
    latency_ms: float | None = None
    energy_uj: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not (math.isfinite(value) and value > 0):
                label = name.rsplit("_", 1)[0]
                raise InputError(f"the limit on {label} is {value}; it must be above 0 (leave it out for no limit)")


@dataclass(frozen=True)
class Layer:
    """One call of the firmware: a layer, or layers that are streamed. `ram` is what exists meanwhile, in bytes; cycles
    at zero wait states.
    """

    name: str
    op: str
    kernel: str
    shape: str
    macs: int
    instructions: int | None
    cycles: int | None
    ram: int
    weights: int
    moved: int = 0  # bytes of operands and results, each once


@dataclass(frozen=True)
class Sum:
    """Figures of front end and net together, one after the other. Sizes in bytes."""

    ram: int
    flash: int
    instructions: int | None
    cycles_range: tuple[float, float | None] | None
    latency_range_ms: tuple[float, float | None] | None
    energy_uj: float | None


@dataclass(frozen=True)
class CheckResult:
    """The figures of one model on one device. Sizes in bytes; `ram["stack"]` is None where the firmware was not run,
    and then `ram["total"]` is without it.
    """

    model: str
    target: str
    how: dict[str, str]
    fits: bool
    reasons: tuple[str, ...]
    ram: dict[str, Any]
    flash: dict[str, int]
    macs: int
    instructions: int | None
    cycles: int | None
    cycles_range: tuple[float, float | None] | None
    latency_ms: float | None  # the slow end where it is known
    latency_range_ms: tuple[float, float | None] | None
    energy_uj: float | None
    absent: dict[str, str]  # why a figure is None or open above
    layers: tuple[Layer, ...]
    optimize: str = "speed"
    passes: tuple[Saving, ...] = ()
    assumed: str | None = None  # what was assumed of a model without int8 codes
    advice: tuple[str, ...] = field(default=())
    tradeoff: tuple[Trade, ...] = ()  # with a limit on RAM: layer by layer, then for less and less RAM
    arena: tuple[Tenant, ...] = ()  # what lies where and when; calls are numbered as `layers`
    front_end: FrontEndFigures | None = None  # of what stands before the net; the figures above are the net's
    sum: Sum | None = None  # of both, which the limits are held against

    @property
    def whole(self) -> Sum:
        """The figures of all that the device runs: those of the net, with its front end where it has one."""
        return self.sum or Sum(self.ram["total"], self.flash["total"], self.instructions, self.cycles_range,
                               self.latency_range_ms, self.energy_uj)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        out: dict[str, Any] = {"schema": SCHEMA, "versions": versions()}
        for name, value in vars(self).items():
            if name in ("front_end", "sum"):
                out[name] = None if value is None else vars(value)
                continue
            out[name] = [vars(row) for row in value] if name in ("layers", "passes", "tradeoff", "arena") else value
        return out

    def __str__(self) -> str:
        from ..report import tables

        return tables.check(self)


def check(
    model: str | Path | Graph,
    target: str | Target,
    limits: Limits | None = None,
    optimize: str = "speed",
    trades: bool = True,
) -> CheckResult:
    """Compiles `model` for `target`, runs it on the emulated core and holds the figures against the limits.

    Under a limit of RAM, `trades` says what other plans would take.

    A float model is profiled as if it were int8, with ranges from random inputs: its accuracy is unknown.

    InputError for an unknown model or target, or limits that are no numbers above 0. RattiError where the firmware's
    outputs differ from the interpreter's, which would be a bug of ratti. What would run for minutes, or has no emulator
    here, is compiled and not run: RAM and flash are held against the limits, and every figure that needs a run is None,
    with the reason.
    """
    limits = limits or Limits()
    device = target if isinstance(target, Target) else targets.load(target)
    graph = models.load(model)
    label = str(model) if not isinstance(model, Graph) else graph.name
    if not graph.is_float:
        return replace(_check(label, graph, device, limits, optimize, trades), passes=passes.optimize(graph)[1])
    folded, savings = passes.optimize(graph)
    result = _check(label, assume_int8(folded), device, limits, optimize, trades)
    return replace(result, passes=savings, assumed=NOTE)


def _check(
    label: str, graph: Graph, device: Target, limits: Limits, optimize: str, trades: bool
) -> CheckResult:
    """`check` of an int8 graph."""
    deployment = prepare(graph, device.isa, optimize=optimize)
    sensor = front_end_of(graph)
    reason = why_not_run(deployment, device)
    if reason:
        deployment = within_flash(graph, device, deployment, optimize, limits.flash_bytes)
        compiled = compile_only(deployment, device, reason, optimize)
        result = _result(label, graph, device, deployment.plan, compiled, limits, optimize)
        if sensor is None:
            return result
        return _with_front_end(result, front_end_figures(*sensor, deployment, device, optimize), _room(deployment),
                               limits)
    inputs = make_inputs(graph, 6)[-1:]
    figures = None if sensor is None else front_end_figures(*sensor, deployment, device, optimize)
    ram_limit, flash_limit = limits.ram_bytes, limits.flash_bytes
    if figures is not None:  # the net may have what is left
        ram_limit = max((ram_limit or device.ram_bytes) - figures.beside_bytes(figures.work_bytes), 1)
        flash_limit = max((flash_limit or device.flash_bytes) - figures.flash, 1)
    measured = deploy(graph, device, inputs, optimize, ram_limit, deployment, flash_limit)
    expected = interpreter.run(graph, inputs[0])
    for name, got in zip(graph.outputs, outputs_of(measured)[0], strict=True):
        if not (got == expected[name]).all():
            raise RattiError(f"output '{name}' of the firmware differs from the interpreter's: please report this bug")
    result = _result(label, graph, device, measured.deployment.plan, measured.measurement, limits, optimize)
    result = replace(result, ram={**result.ram, "memory": measured.memory})
    if figures is not None:
        result = _with_front_end(result, figures, _room(measured.deployment), limits)
    if limits.ram_bytes is None or not trades:
        return result
    found = trade_off(graph, device, inputs, optimize, measured.deployment.lean)
    return replace(result, tradeoff=tuple(found))


def _with_front_end(result: CheckResult, front: FrontEndFigures, room_bytes: int, limits: Limits) -> CheckResult:
    """`result` with the figures of the front end, and held against the limits in sum."""
    ram, flash = result.ram, result.flash
    stack = max(ram["stack"] or 0, front.stack_bytes or 0) - (ram["stack"] or 0)
    counts = (result.instructions, front.instructions)
    energies = (result.energy_uj, front.energy_uj)
    both = Sum(
        ram["total"] + stack + front.beside_bytes(room_bytes),
        flash["total"] + front.flash,
        None if None in counts else sum(c or 0 for c in counts),
        added(result.cycles_range, front.cycles_range),
        added(result.latency_range_ms, front.latency_range_ms),
        None if None in energies else sum(e or 0 for e in energies),
    )
    latency = None if both.latency_range_ms is None else both.latency_range_ms[1] or both.latency_range_ms[0]
    reasons = _reasons({**ram, "total": both.ram}, {**flash, "total": both.flash}, latency, both.energy_uj, limits,
                       {**front.absent, **result.absent})
    return replace(result, front_end=front, sum=both, fits=not reasons, reasons=tuple(reasons))


def _room(deployment: Deployment) -> int:
    """The longest stretch of the arena without inputs, which is free while they are being made, in bytes."""
    gaps, at = [], 0
    for port in sorted(deployment.sources.inputs, key=lambda p: p.offset_bytes):
        gaps.append(port.offset_bytes - at)
        at = port.offset_bytes + port.type.bytes
    return max(*gaps, deployment.sources.arena_bytes - at)


def _result(
    label: str, graph: Graph, device: Target, plan: Plan, m: Measurement | Compiled, limits: Limits, optimize: str
) -> CheckResult:
    run = m if isinstance(m, Measurement) else None
    stack = run.stack_bytes if run else None
    weights = sum(graph.values[n].type.bytes for n in _constants(graph)) - plan.saved_bytes
    ram = {
        "total": m.ram_static_bytes + (stack or 0),
        "memory": device.region("data").name,  # of the arena
        "activations": plan.activation_bytes,
        "scratch": plan.scratch_bytes,
        "stack": stack,
        "static": m.ram_static_bytes - plan.arena_bytes,
        "lower_bound": plan.lower_bound_bytes,
        "limit": min(limits.ram_bytes or device.ram_bytes, device.ram_beside(m.flash_total_bytes)),
    }
    flash = {
        "total": m.flash_total_bytes,
        "weights": weights,
        "code": m.flash_total_bytes - weights,  # with the next two
        "parameters": plan.parameter_bytes,
        "transformed": plan.transformed_bytes,
        "limit": min(limits.flash_bytes or device.flash_bytes, device.flash_bytes),
    }
    layers = tuple(
        _layer(plan, group, steps, figures)
        for (group, steps), figures in zip(plan.calls, run.steps if run else [None] * len(plan.calls), strict=True)
    )
    how = {k: v.value for k, v in m.how.items()}
    cycles, latency_span, energy_span = (run.cycles, run.latency_ms, run.energy_uj) if run else (None, None, None)
    latency, energy = _slow_end(latency_span), _slow_end(energy_span)
    reasons = _reasons(ram, flash, latency, energy, limits, m.reasons)
    result = CheckResult(
        model=label,
        target=device.id,
        how={k: how.get(k, How.ABSENT.value) for k in ("ram", "flash", "instructions", "cycles", "latency", "energy")},
        fits=not reasons,
        reasons=tuple(reasons),
        ram=ram,
        flash=flash,
        macs=graph.macs(),
        instructions=run.instructions if run else None,
        cycles=round(cycles.low) if cycles else None,
        cycles_range=_ends(cycles),
        latency_ms=latency,
        latency_range_ms=_ends(latency_span),
        energy_uj=energy,
        absent=dict(m.reasons),
        layers=layers,
        optimize=optimize,
        arena=tenants(plan),
    )
    return replace(result, advice=tuple(advise(result, plan)))


def _layer(
    plan: Plan, group: Stream | Patches | None, steps: Sequence[Step], figures: StepFigures | None
) -> Layer:
    first, last = steps[0], steps[-1]
    weights = {id(o.data): o.type.bytes for s in steps for o in s.work.operands if o.data is not None}
    return Layer(
        name=first.node.name if group is None else " to ".join(plan.ends_of(group)),
        op=first.node.op.name if group is None else group.kind,
        kernel=first.kernel.name if group is None else f"{group.layers} layers in {group.words}",
        shape="x".join(map(str, last.work.output.shape[1:])),
        macs=sum(s.work.macs for s in steps),
        instructions=figures.instructions if figures else None,
        cycles=round(figures.cycles.low) if figures and figures.cycles else None,
        ram=max(s.live_bytes for s in steps),
        weights=sum(weights.values()) - sum({id(s.work.operands[1].data): s.saved_bytes for s in steps
                                             if s.kernel.compresses}.values()),
        moved=sum(t.bytes for s in steps for t in (*s.work.types, *s.work.outputs)),
    )


def _ends(span: Span | None) -> tuple[float, float | None] | None:
    return None if span is None else (span.low, span.high)


def _slow_end(span: Span | None) -> float | None:
    """What a limit is held against."""
    if span is None:
        return None
    return span.low if span.high is None else span.high


def _constants(graph: Graph) -> set[str]:
    return {i for n in graph.nodes for i in n.inputs if graph.values[i].is_constant}


def _reasons(
    ram: Mapping[str, Any],
    flash: Mapping[str, int],
    latency_ms: float | None,
    energy_uj: float | None,
    limits: Limits,
    absent: Mapping[str, str],
) -> list[str]:
    """Why the model does not fit; empty where it does."""
    out = []
    for name, figures in (("RAM", ram), ("flash", flash)):
        total, limit_bytes = figures["total"], figures["limit"]
        over = total - limit_bytes
        if over > 0:
            times = f" ({total / limit_bytes:,.1f} times)" if total > 1.05 * limit_bytes else ""
            out.append(f"{name}: needs {total:,} B, {over:,} B over the limit of {limit_bytes:,} B{times}")
    for name, value, limit, unit in (
        ("latency", latency_ms, limits.latency_ms, "ms"),
        ("energy", energy_uj, limits.energy_uj, "µJ"),
    ):
        if limit is None:
            continue
        if value is None:
            why = absent.get(name, "no source")
            out.append(f"{name}: no figure to hold against the limit of {limit:g} {unit}: {why}")
        elif value > limit:
            out.append(f"{name}: {value:.3g} {unit}, over the limit of {limit:g} {unit}")
    return out

