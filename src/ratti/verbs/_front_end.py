"""The front end's figures on a device, beside the net's and in sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..deploy import Deployment, front_end_program, sense_program
from ..device import cores, toolchain
from ..device.host import HostModel
from ..device.measure import Measurement, Span, measure
from ..emit import features as emit
from ..emit.features import FeatureSources
from ..errors import DoesNotFitError, RattiError
from ..features import Codes, FrontEnd
from ..samples import make_samples
from ..targets import Target
from ..types import Array

NAME = "model"  # of the emitted functions


@dataclass(frozen=True)
class FrontEndFigures:
    """What one input costs in the front end alone. Sizes in bytes; `flash` is what linking it beside the net adds."""

    name: str
    steps: int
    samples_bytes: int  # all of one input
    step_samples_bytes: int  # what one step takes: enough where samples are worked on while they come in
    work_bytes: int
    static_bytes: int
    stack_bytes: int | None
    flash: int
    instructions: int | None
    cycles_range: tuple[float, float | None] | None
    latency_range_ms: tuple[float, float | None] | None
    energy_uj: float | None
    absent: Mapping[str, str]

    def beside_bytes(self, room_bytes: int) -> int:
        """RAM that it takes beside the net's: samples of a step, static data, and its work area where that does not fit
        into `room_bytes` of the net's arena, which is free meanwhile.
        """
        return self.step_samples_bytes + self.static_bytes + (0 if self.work_bytes <= room_bytes else self.work_bytes)


def figures(front_end: FrontEnd, codes: Codes, net: Deployment, device: Target, optimize: str) -> FrontEndFigures:
    """Compiles the front end for `device`, runs it and holds its codes against its definition. RattiError where they
    differ, which would be a bug of ratti. Where the core cannot be emulated there are sizes alone.
    """
    sources = emit.emit(front_end, codes, NAME)
    program = front_end_program(sources)
    obstacle = cores.load(device.core).obstacle
    larger = device.roomy()
    run: Measurement | None = None
    if not obstacle:
        samples = make_samples(front_end, 12)
        run = _measured(sources, samples[-1:], device, optimize)
        if (run.outputs[0][0].view("int8") != codes(front_end.compute(samples[-1:])).ravel()).any():
            raise RattiError(f"the codes of front end {front_end.name} differ from its definition: please report this")
    static = toolchain.build(program, larger, optimize).image.ram_static_bytes - program.arena_bytes
    both = toolchain.build(sense_program(sources, net), larger, optimize).image.flash_bytes
    alone = toolchain.build(net.program, larger, optimize).image.flash_bytes
    return FrontEndFigures(
        name=front_end.name,
        steps=front_end.program().steps,
        samples_bytes=sources.samples_bytes,
        step_samples_bytes=sources.step_bytes,
        work_bytes=sources.work_bytes,
        static_bytes=max(static, 0),
        stack_bytes=run.stack_bytes if run else None,
        flash=both - alone,
        instructions=run.instructions if run else None,
        cycles_range=_ends(run.cycles) if run else None,
        latency_range_ms=_ends(run.latency_ms) if run else None,
        energy_uj=_slow(run.energy_uj) if run else None,
        absent=dict(run.reasons) if run else dict.fromkeys(("instructions", "cycles", "latency", "energy"), obstacle),
    )


def codes_on(where: str | Target, sources: FeatureSources, samples: Array, optimize: str = "speed") -> Array:
    """int8 codes (N, …) that the compiled front end gives for samples (N, …): on this computer, or emulated."""
    program = front_end_program(sources)
    if isinstance(where, str):
        with HostModel(program) as host:
            return np.stack([host.run([row])[0].view(np.int8) for row in samples])
    found = measure(program, where.roomy(), [[row] for row in samples], optimize=optimize, watched=False)
    return np.stack([row[0].view(np.int8) for row in found.outputs])


def _measured(sources: FeatureSources, samples: Array, device: Target, optimize: str) -> Measurement:
    program = front_end_program(sources)
    try:
        return measure(program, device, [[samples]], optimize=optimize)
    except DoesNotFitError:  # all samples of one input at once: firmware takes them step by step
        return measure(program, device.roomy(), [[samples]], optimize=optimize)


def _ends(span: Span | None) -> tuple[float, float | None] | None:
    return None if span is None else (span.low, span.high)


def _slow(span: Span | None) -> float | None:
    if span is None:
        return None
    return span.low if span.high is None else span.high


def added(a: tuple[float, float | None] | None, b: tuple[float, float | None] | None) -> tuple[
        float, float | None] | None:
    """The sum of two ranges; open above, or absent, where one of them is."""
    if a is None or b is None:
        return None
    return a[0] + b[0], None if a[1] is None or b[1] is None else a[1] + b[1]
