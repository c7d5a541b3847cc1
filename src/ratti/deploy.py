"""From a graph to figures on a device: passes, plan, C, compiled, emulated, compared with the interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .device.measure import Measurement, measure
from .device.program import Program, Slot
from .emit import c
from .errors import DoesNotFitError
from .graph.ir import Graph
from .graph.passes import run_pipeline
from .kernels import FEATURES
from .plan import Plan, make_plan
from .targets import Target
from .types import Array


@dataclass(frozen=True)
class Deployment:
    """A plan and its C sources for one instruction set."""

    plan: Plan
    sources: c.CSources

    @property
    def program(self) -> Program:
        return Program(
            self.sources.files,
            self.sources.entry,
            self.sources.arena_bytes,
            tuple(Slot(p.offset_bytes, p.type.bytes) for p in self.sources.inputs),
            tuple(Slot(p.offset_bytes, p.type.bytes) for p in self.sources.outputs),
            self.sources.steps,
        )


@dataclass(frozen=True)
class Measured:
    """What was measured. `fits` is False where the part's memories had to be enlarged for the measurement."""

    deployment: Deployment
    measurement: Measurement
    fits: bool
    obstacle: str = ""  # why it does not fit


def prepare(graph: Graph, isa: str, arena_limit: int | None = None, name: str | None = None) -> Deployment:
    """Plan and sources for the instruction set `isa` ("portable" for any C compiler)."""
    plan = make_plan(run_pipeline(graph), FEATURES[isa], arena_limit)
    return Deployment(plan, c.emit(plan, name))


def deploy(
    graph: Graph,
    target: Target,
    inputs: Sequence[Sequence[Array]],
    optimize: str = "speed",
    ram_limit: int | None = None,
) -> Measured:
    """Compiles and emulates `graph` on `target`; plans again with less scratch where RAM is short.

    What does not fit is measured on the same part with larger memories.
    """
    limit = min(ram_limit or target.ram_bytes, target.ram_bytes)
    deployment = prepare(graph, target.isa)
    if deployment.plan.arena_bytes > limit:
        deployment = prepare(graph, target.isa, limit)
    result = _measure(deployment, target, inputs, optimize)
    used = total_ram(result.measurement)
    if used > limit:
        arena = deployment.plan.arena_bytes
        smaller = prepare(graph, target.isa, arena - (used - limit))
        if smaller.plan.arena_bytes < arena:
            result = _measure(smaller, target, inputs, optimize)
    return result


def total_ram(m: Measurement) -> int:
    """Arena, other static data and stack, in bytes."""
    return m.ram_static_bytes + m.stack_bytes


def _measure(
    deployment: Deployment, target: Target, inputs: Sequence[Sequence[Array]], optimize: str
) -> Measured:
    try:
        return Measured(deployment, measure(deployment.program, target, inputs, optimize=optimize), True)
    except DoesNotFitError as error:
        obstacle = str(error)
        roomy = measure(
            deployment.program, target.roomy(), inputs, optimize=optimize, seconds=120, watched=False
        )
        return Measured(deployment, roomy, False, obstacle)


def outputs_of(measured: Measured) -> list[list[Array]]:
    """The measurement's outputs in the graph's types: one list per inference."""
    ports = measured.deployment.sources.outputs
    return [
        [np.asarray(raw).view(p.type.dtype.numpy).reshape(p.type.shape) for raw, p in zip(row, ports, strict=True)]
        for row in measured.measurement.outputs
    ]
