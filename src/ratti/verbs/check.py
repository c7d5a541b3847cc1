"""Does a model fit a device, how fast is it, and what stands in the way?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import models, targets
from ..deploy import Measured, deploy, outputs_of, total_ram
from ..device.measure import Span
from ..errors import InputError, RattiError
from ..graph import interpreter
from ..graph.ir import Graph
from ..samples import make_inputs
from ..targets import Target
from ..types import How
from ._advice import advise

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
    """One step of the firmware. `ram` is what exists while it runs, in bytes; cycles at zero wait states."""

    name: str
    op: str
    kernel: str
    shape: str
    macs: int
    instructions: int
    cycles: int | None
    ram: int
    weights: int


@dataclass(frozen=True)
class CheckResult:
    """The figures of one model on one device. Sizes in bytes."""

    model: str
    target: str
    how: dict[str, str]
    fits: bool
    reasons: tuple[str, ...]
    ram: dict[str, int]
    flash: dict[str, int]
    macs: int
    instructions: int
    cycles: int | None
    cycles_range: tuple[float, float | None] | None
    latency_ms: float | None  # the slow end where it is known
    latency_range_ms: tuple[float, float | None] | None
    energy_uj: float | None
    absent: dict[str, str]  # why a figure is None or open above
    layers: tuple[Layer, ...]
    optimize: str = "speed"
    advice: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """A dictionary for `json.dumps`."""
        out: dict[str, Any] = {"schema": SCHEMA}
        for name, value in vars(self).items():
            out[name] = [vars(layer) for layer in value] if name == "layers" else value
        return out

    def __str__(self) -> str:
        from ..report import tables

        return tables.check(self)


def check(
    model: str | Path | Graph,
    target: str | Target,
    limits: Limits | None = None,
    optimize: str = "speed",
) -> CheckResult:
    """Compiles `model` for `target`, runs it on the emulated core and holds the figures against the limits.

    InputError for an unknown model or target, or limits that are no numbers above 0. RattiError where the firmware's
    outputs differ from the interpreter's, which would be a bug of ratti.
    """
    limits = limits or Limits()
    device = target if isinstance(target, Target) else targets.load(target)
    graph = models.load(model)
    inputs = make_inputs(graph, 6)[-1:]
    measured = deploy(graph, device, inputs, optimize, limits.ram_bytes)
    expected = interpreter.run(graph, inputs[0])
    for name, got in zip(graph.outputs, outputs_of(measured)[0], strict=True):
        if not (got == expected[name]).all():
            raise RattiError(f"the firmware's output '{name}' differs from the interpreter's: a bug in ratti, please report")
    label = str(model) if not isinstance(model, Graph) else graph.name
    return _result(label, graph, device, measured, limits, optimize)


def _result(
    label: str, graph: Graph, device: Target, measured: Measured, limits: Limits, optimize: str
) -> CheckResult:
    m, plan = measured.measurement, measured.deployment.plan
    weights = sum(graph.values[n].type.bytes for n in _constants(graph))
    ram = {
        "total": total_ram(m),
        "activations": plan.activation_bytes,
        "scratch": plan.scratch_bytes,
        "stack": m.stack_bytes,
        "static": m.ram_static_bytes - plan.arena_bytes,
        "lower_bound": plan.lower_bound_bytes,
        "limit": min(limits.ram_bytes or device.ram_bytes, device.ram_bytes),
    }
    flash = {
        "total": m.flash_total_bytes,
        "weights": weights,
        "code": m.flash_total_bytes - weights,
        "limit": min(limits.flash_bytes or device.flash_bytes, device.flash_bytes),
    }
    layers = tuple(
        Layer(
            step.node.name,
            step.node.op.name,
            step.kernel.name,
            "x".join(map(str, step.work.output.shape[1:])),
            step.work.macs,
            figures.instructions,
            round(figures.cycles.low) if figures.cycles else None,
            step.live_bytes,
            sum(o.type.bytes for o in step.work.operands if o.data is not None),
        )
        for step, figures in zip(plan.steps, m.steps, strict=True)
    )
    how = {k: v.value for k, v in m.how.items()}
    latency, energy = _slow_end(m.latency_ms), _slow_end(m.energy_uj)
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
        instructions=m.instructions,
        cycles=round(m.cycles.low) if m.cycles else None,
        cycles_range=_ends(m.cycles),
        latency_ms=latency,
        latency_range_ms=_ends(m.latency_ms),
        energy_uj=energy,
        absent=dict(m.reasons),
        layers=layers,
        optimize=optimize,
    )
    return replace(result, advice=tuple(advise(result, measured)))


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
    ram: dict[str, int],
    flash: dict[str, int],
    latency_ms: float | None,
    energy_uj: float | None,
    limits: Limits,
    absent: Mapping[str, str],
) -> list[str]:
    """Why the model does not fit; empty where it does."""
    out = []
    for name, figures in (("RAM", ram), ("flash", flash)):
        over = figures["total"] - figures["limit"]
        if over > 0:
            out.append(
                f"{name}: needs {figures['total']:,} B, {over:,} B over the limit of {figures['limit']:,} B "
                f"({figures['total'] / figures['limit']:.1f} times)"
            )
    for name, value, limit, unit in (
        ("latency", latency_ms, limits.latency_ms, "ms"),
        ("energy", energy_uj, limits.energy_uj, "µJ"),
    ):
        if limit is None:
            continue
        if value is None:
            out.append(f"{name}: no figure to hold against the limit of {limit:g} {unit}: {absent.get(name, 'no source')}")
        elif value > limit:
            out.append(f"{name}: {value:.3g} {unit}, over the limit of {limit:g} {unit}")
    return out

