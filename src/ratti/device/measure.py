"""The facade: a program, a target and inputs in; figures out, each with how it was obtained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..targets import Target
from ..types import Array, How
from . import emulator as emulation
from . import toolchain
from .emulator import Cycles, Emulator, Run
from .program import Program


@dataclass(frozen=True)
class Span:
    """A figure between two ends. `low`: every range of the table at its minimum and no wait states; `high`: at its
    maximum, with the part's configured wait states. None: not known, for a reason that stands beside it.
    """

    low: float
    high: float | None


@dataclass(frozen=True)
class StepFigures:
    """One step of the model, with the figures of the first input."""

    name: str
    instructions: int
    cycles: Span | None


@dataclass(frozen=True)
class Measurement:
    """Figures of one program on one target. `steps` add up to `instructions` and `cycles`, which are those of the
    first input. RAM in use is `ram_static_bytes` (data, arena) and `stack_bytes`. Flash code is what is no weight.

    `how` says for ram, flash, instructions, cycles, latency and energy where they come from, `reasons` why one is
    absent or open above, `sources` which table or figure was used.
    """

    target: str
    outputs: tuple[tuple[Array, ...], ...]  # [inference][output], uint8
    instructions: int
    instructions_range: tuple[int, int]  # least and most over all inputs
    cycles: Span | None
    latency_ms: Span | None
    energy_uj: Span | None
    steps: tuple[StepFigures, ...]
    stack_bytes: int
    ram_static_bytes: int
    flash_total_bytes: int
    flash_weights_bytes: int
    how: Mapping[str, How]
    reasons: Mapping[str, str]
    sources: Mapping[str, str]

    @property
    def ram_bytes(self) -> int:
        return self.ram_static_bytes + self.stack_bytes

    @property
    def flash_code_bytes(self) -> int:
        return self.flash_total_bytes - self.flash_weights_bytes


def measure(program: Program, target: Target, inputs: Sequence[Sequence[Array]], *, optimize: str = "speed",
            flags: tuple[str, ...] = (), seconds: float = 60.0, watched: bool = True,
            emulator: Emulator | None = None) -> Measurement:
    """Compile `program` for `target`, run it once for each of `inputs`, count and price.

    `inputs[inference][input]` are arrays with as many bytes as the input's slot; `flags` go to the compiler; `seconds`
    limits an inference. Without `watched` there is no upper end of cycles and no look at alignment, in a tenth of the
    time. Raises ToolchainError, DoesNotFitError (flash, static RAM or stack) and EmulationError (faults, time-outs,
    foreign instructions).
    """
    firmware = toolchain.build(program, target, optimize, flags)
    emulation.check(firmware, emulator)
    run = emulation.run(firmware, inputs, seconds=seconds, watched=watched, emulator=emulator)
    spans = _cycles(run)
    cycles = None if spans is None else _sum(spans)
    latency = _scale(cycles, 1e3 / target.clock_hz)
    energy = None if target.active_mw is None else _scale(latency, target.active_mw)
    how, reasons, sources = _origins(run, target, cycles, energy)
    totals = [sum(row) for row in run.instructions]
    return Measurement(
        target=target.id,
        outputs=run.outputs,
        instructions=totals[0],
        instructions_range=(min(totals), max(totals)),
        cycles=cycles,
        latency_ms=latency,
        energy_uj=energy,
        steps=tuple(
            StepFigures(name, count, spans[k] if spans else None)
            for k, (name, count) in enumerate(zip(program.steps, run.instructions[0], strict=True))
        ),
        stack_bytes=run.stack_bytes,
        ram_static_bytes=firmware.image.ram_static_bytes,
        flash_total_bytes=firmware.image.flash_bytes,
        flash_weights_bytes=firmware.weights_bytes,
        how=MappingProxyType(how),
        reasons=MappingProxyType(reasons),
        sources=MappingProxyType(sources),
    )


def _cycles(run: Run) -> list[Span] | None:
    """Cycles by step."""
    if not isinstance(run.cycles, Cycles):
        return None
    high = [None] * len(run.cycles.high) if run.stalls is None else [
        core + wait for core, wait in zip(run.cycles.high, run.stalls, strict=True)]
    return [Span(a, b) for a, b in zip(run.cycles.low, high, strict=True)]


def _sum(spans: Sequence[Span]) -> Span:
    high = [s.high for s in spans if s.high is not None]
    return Span(sum(s.low for s in spans), sum(high) if len(high) == len(spans) else None)


def _scale(span: Span | None, factor: float) -> Span | None:
    if span is None:
        return None
    return Span(span.low * factor, None if span.high is None else span.high * factor)


def _origins(run: Run, target: Target, cycles: Span | None,
             energy: Span | None) -> tuple[dict[str, How], dict[str, str], dict[str, str]]:
    priced = How.ABSENT if cycles is None else How.PRICED
    how = {
        "ram": How.EMULATED, "flash": How.EMULATED, "instructions": How.EMULATED, "cycles": priced, "latency": priced,
        "energy": How.ABSENT if energy is None else How.ESTIMATED,
    }
    reasons: dict[str, str] = {}
    sources: dict[str, str] = {}
    if isinstance(run.cycles, Cycles):
        sources["cycles"] = run.cycles.source
        sources["latency"] = f"cycles at {target.clock_hz / 1e6:g} MHz ({target.source('clock_hz')})"
        if run.stalls is None:
            described = target.flash_cache is not None and target.region("code").wait_states is not None
            reasons["cycles"] = "no upper end: the run was not watched" if described else (
                f"no upper end: the flash of {target.name} has no described wait states")
            reasons["latency"] = reasons["cycles"]
    else:
        reasons["cycles"] = reasons["latency"] = run.cycles
    if energy is not None:
        sources["energy"] = f"{target.active_mw:g} mW x latency ({target.source('active_mw')})"
    elif target.active_mw is None:
        reasons["energy"] = f"no power figure of {target.name} was read"
    else:
        reasons["energy"] = f"no latency: {reasons['latency']}"
    return how, reasons, sources
