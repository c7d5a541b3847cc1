"""From a graph to figures on a device: passes, plan, C, compiled, emulated, compared with the interpreter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .device import cores, toolchain
from .device.image import Image
from .device.measure import Measurement, measure
from .device.program import Program, Slot
from .emit import blob, c, rust
from .emit.features import FeatureSources, aligned
from .errors import DoesNotFitError
from .graph.ir import Graph
from .graph.passes import run_pipeline
from .kernels import FEATURES, FIXED_SIZES, SCARCE_FLASH, SPARE_FLASH, candidates, lean_features
from .plan import Plan, Step, make_plan, make_plans
from .targets import Target
from .types import Array, How

WATCHED_INSTRUCTIONS = 1e8  # above, the watched run (upper end of cycles, alignment) would take a minute or more
MAX_INSTRUCTIONS = 2e9  # above, emulating one inference would take minutes
SECONDS = 120.0  # for one inference
TRADES = 6  # of RAM for instructions, that are measured
TRIES = 3  # to meet a limit on RAM: the stack is known only when a plan has run


@dataclass(frozen=True)
class Deployment:
    """A plan and its C sources for one instruction set."""

    plan: Plan
    sources: c.CSources
    lean: frozenset[str] = frozenset()  # nodes whose kernels spare flash

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

    @property
    def expected_instructions(self) -> float:
        """The sum of the kernels' estimates: good for deciding whether to run, never reported as a figure."""
        return sum(step.kernel.instructions(step.work) for step in self.plan.steps)


@dataclass(frozen=True)
class Compiled:
    """Sizes of a program that was linked and not run; the names are those of `Measurement`. Sizes in bytes."""

    ram_static_bytes: int
    flash_total_bytes: int
    how: Mapping[str, How]
    reasons: Mapping[str, str]


@dataclass(frozen=True)
class Trade:
    """One way to run a model: `how` the plan computes it, all RAM in use, instructions of one inference."""

    how: str
    ram_bytes: int
    instructions: int


@dataclass(frozen=True)
class Measured:
    """What was measured. `fits` is False where the part's memories had to be enlarged for the measurement."""

    deployment: Deployment
    measurement: Measurement
    fits: bool
    memory: str  # the name of the region where the arena lies
    obstacle: str = ""  # why it does not fit


def prepare(
    graph: Graph,
    isa: str,
    arena_limit: int | None = None,
    name: str | None = None,
    optimize: str = "speed",
    lean: Collection[str] = (),
    weights_apart: bool = False,
) -> Deployment:
    """Plan and sources for the instruction set `isa` ("portable" for any C compiler).

    Kernels that take more flash than others for the same weights are planned for speed only, and not for the nodes
    named in `lean`; those get weights stored compressed where they have enough zeros, whatever that costs in speed.
    `weights_apart` makes the weights a block of their own (`emit.blob`), whose sizes do not depend on zeros.
    """
    features = _features(isa, optimize) | ({FIXED_SIZES} if weights_apart else frozenset())
    plan = make_plan(run_pipeline(graph), features, arena_limit, lean=lean)
    return Deployment(plan, c.emit(plan, name, weights_apart), frozenset(lean))


def _features(isa: str, optimize: str) -> frozenset[str]:
    return FEATURES[isa] if optimize == "speed" else lean_features(FEATURES[isa])


def prepare_rust(graph: Graph, name: str | None = None) -> rust.RustCrate:
    """The Rust crate of `graph`. UnsupportedError where an op has no Rust kernel."""
    optimized = run_pipeline(graph)
    return rust.emit(make_plan(optimized, FEATURES[rust.FEATURE_SET], kernels=rust.choose(optimized)), name)


def deploy(
    graph: Graph,
    target: Target,
    inputs: Sequence[Sequence[Array]],
    optimize: str = "speed",
    ram_limit: int | None = None,
    deployment: Deployment | None = None,
    flash_limit: int | None = None,
) -> Measured:
    """Compiles and emulates `graph` on `target`; plans again for less RAM where it is short. Where flash is,
    layers give up the kernels that spend it on speed: first those that it gains the fewest instructions a byte.

    What does not fit is measured on the same part with larger memories. `deployment` is what `prepare` made for the
    target's instruction set and `optimize`, where the caller has it.
    """
    best = result = _deploy(graph, target, inputs, optimize, (), ram_limit, deployment)
    flash = min(flash_limit or target.flash_bytes, target.flash_bytes)
    lean: set[str] = set()
    while (excess := result.measurement.flash_total_bytes - flash) > 0:
        given_up = _give_up(result.deployment.plan, excess)
        if not given_up:
            break
        lean |= given_up
        result = _deploy(graph, target, inputs, optimize, lean, ram_limit)
        best = min(best, result, key=lambda r: r.measurement.flash_total_bytes)
    return best


def _give_up(plan: Plan, excess: int) -> set[str]:
    """The nodes whose kernels spare flash, to save `excess` bytes of tables, or all that do.

    The code of the kernels that come instead is not known here: whoever asks links the plan, and may ask again.
    """
    found = [_gain(s) for s in plan.steps if SCARCE_FLASH not in s.work.features]
    gains = sorted((g for g in found if g[1] > 0), key=lambda g: g[0] / g[1])
    given_up: set[str] = set()
    for _, saved, name in gains:
        if excess <= 0:
            break
        given_up.add(name)
        excess -= saved
    return given_up


def _gain(step: Step) -> tuple[float, int, str]:
    """Instructions (estimated) that a step's kernel gains with flash, the bytes that it takes more, the node's name."""
    work = replace(step.work, features=lean_features(step.work.features))
    other = candidates(work)[0]
    more = sum(t.bytes for t in step.call.tables) - sum(t.bytes for t in other.call(work).tables)
    more = max(more, 1) if SPARE_FLASH in step.kernel.requires else more
    return other.instructions(work) - step.kernel.instructions(step.work), more, step.node.name


def _deploy(
    graph: Graph,
    target: Target,
    inputs: Sequence[Sequence[Array]],
    optimize: str,
    lean: Collection[str],
    ram_limit: int | None,
    deployment: Deployment | None = None,
) -> Measured:
    """`deploy` with nodes that spend no flash on speed."""
    limit = min(ram_limit or target.ram_bytes, target.ram_bytes)
    deployment = deployment or prepare(graph, target.isa, optimize=optimize, lean=lean)
    if deployment.plan.arena_bytes > limit:
        deployment = prepare(graph, target.isa, limit, optimize=optimize, lean=lean)
    result = _measure(deployment, target, inputs, optimize)
    for _ in range(TRIES):
        excess = total_ram(result.measurement) - limit
        arena = result.deployment.plan.arena_bytes
        if excess <= 0:
            break
        smaller = prepare(graph, target.isa, arena - excess, optimize=optimize, lean=lean)
        if smaller.plan.arena_bytes >= arena:
            break
        result = _measure(smaller, target, inputs, optimize)
    return result


def front_end_program(sources: FeatureSources) -> Program:
    """The front end alone as a program to measure: samples at the arena's start, then the codes, then the work area."""
    name = sources.name
    codes_at = aligned(sources.samples_bytes)
    work_at = codes_at + aligned(sources.codes_bytes)
    entry = f"""#include "{name}_features.h"

void {name}_features_arena(int8_t *arena);
void {name}_features_arena(int8_t *arena)
{{
    {name}_features((const {sources.sample_ctype} *)(const void *)arena, arena + {codes_at}, arena + {work_at});
}}
"""
    return Program({**sources.files, "arena.c": entry}, f"{name}_features_arena", work_at + sources.work_bytes,
                   (Slot(0, sources.samples_bytes),), (Slot(codes_at, sources.codes_bytes),), ("features",))


def apart_program(sources: c.CSources, name: str, weights: bytes) -> Program:
    """A program in two steps: open the block `weights`, which is linked beside the code, and run with it. Behind the
    arena lies one output more: what opening gave. A block that is refused is not run with.
    """
    entry = f"""#include "{name}.h"

extern const uint64_t {name}_block[];
void {name}_apart(int8_t *arena);
static const {name}_weights *weights;

static __attribute__((noinline)) void open_weights(int8_t *arena)
{{
    arena[{sources.arena_bytes}] = (int8_t){name}_open({name}_block, {len(weights)}, &weights);
}}

static __attribute__((noinline)) void run_model(int8_t *arena)
{{
    if (weights)
        {name}_run(arena, weights);
}}

void {name}_apart(int8_t *arena)
{{
    open_weights(arena);
    run_model(arena);
}}
"""
    files = {**sources.files, f"{name}_weights.c": blob.linkable(name, weights), "apart.c": entry}
    inputs = tuple(Slot(p.offset_bytes, p.type.bytes) for p in sources.inputs)
    outputs = tuple(Slot(p.offset_bytes, p.type.bytes) for p in sources.outputs)
    bytes_ = sources.arena_bytes + 4
    return Program(files, f"{name}_apart", bytes_, inputs, (*outputs, Slot(bytes_ - 4, 1)), ("open", "run"))


def sense_program(sources: FeatureSources, net: Deployment) -> Program:
    """Front end and net in one image, to be linked: its flash is what both take together."""
    inside = net.program
    name, entry = sources.name, f"{sources.name}_sense"
    text = f"""#include "{name}_features.h"

void {inside.entry}(int8_t *arena);
void {entry}(int8_t *arena);
void {entry}(int8_t *arena)
{{
    {name}_features((const {sources.sample_ctype} *)(const void *)arena, arena, arena);
    {inside.entry}(arena);
}}
"""
    files = {**inside.sources, **sources.files, f"{name}_sense.c": text}
    steps = ("features", "net")
    return Program(files, entry, inside.arena_bytes, inside.inputs, inside.outputs, steps)


def trade_off(
    graph: Graph,
    target: Target,
    inputs: Sequence[Sequence[Array]],
    optimize: str = "speed",
    lean: Collection[str] = (),
) -> list[Trade]:
    """Measured: layer by layer first, then plans that take less and less RAM; at most `TRADES`, evenly chosen."""
    plans = make_plans(run_pipeline(graph), _features(target.isa, optimize), lean)
    chosen = sorted({round(k * (len(plans) - 1) / (TRADES - 1)) for k in range(TRADES)})
    trades: list[Trade] = []
    for k in chosen:
        deployment = Deployment(plans[k], c.emit(plans[k]))
        if deployment.expected_instructions <= MAX_INSTRUCTIONS:
            m = _measure(deployment, target, inputs, optimize).measurement
            trades.append(Trade(plans[k].how, total_ram(m), m.instructions))
    worse = [any(o.ram_bytes <= t.ram_bytes and o.instructions < t.instructions for o in trades) for t in trades]
    return [t for t, is_worse in zip(trades, worse, strict=True) if not is_worse]


def why_not_run(deployment: Deployment, target: Target) -> str:
    """Why the firmware is sized and not run: no emulator of the core, or too long a run. Empty where it is run."""
    obstacle = cores.load(target.core).obstacle
    if obstacle:
        return obstacle
    expected = deployment.expected_instructions
    if expected <= MAX_INSTRUCTIONS:
        return ""
    return (
        f"about {expected / 1e9:.1f} billion instructions by the kernels' estimates, "
        f"over the {MAX_INSTRUCTIONS / 1e9:g} billion that are emulated"
    )


def within_flash(
    graph: Graph, target: Target, deployment: Deployment, optimize: str = "speed", flash_limit: int | None = None
) -> Deployment:
    """`deployment`, where it is not run, with kernels given up as `deploy` gives them up for a lack of flash."""
    flash = min(flash_limit or target.flash_bytes, target.flash_bytes)
    best, best_bytes = deployment, _image(deployment, target, optimize).flash_bytes
    lean: set[str] = set()
    size = best_bytes
    while size > flash and (given_up := _give_up(deployment.plan, size - flash)):
        lean |= given_up
        deployment = prepare(graph, target.isa, optimize=optimize, lean=lean)
        size = _image(deployment, target, optimize).flash_bytes
        best, best_bytes = min((best, best_bytes), (deployment, size), key=lambda found: found[1])
    return best


def _image(deployment: Deployment, target: Target, optimize: str) -> Image:
    """The linked firmware; with larger memories where it does not fit."""
    try:
        return toolchain.build(deployment.program, target, optimize).image
    except DoesNotFitError:
        return toolchain.build(deployment.program, target.roomy(), optimize).image


def compile_only(deployment: Deployment, target: Target, reason: str, optimize: str = "speed") -> Compiled:
    """RAM (without the stack) and flash of what is not run, for `reason`; every other figure is absent.

    Where the core has no compiler, flash is that of its stand-in's code (`device.cores`); the weights alone are exact.
    """
    image = _image(deployment, target, optimize)
    absent = ("instructions", "cycles", "latency", "energy")
    has_compiler = not cores.load(target.core).absent
    flash = How.EMULATED if has_compiler else How.ESTIMATED
    how = {"ram": How.ESTIMATED, "flash": flash, **dict.fromkeys(absent, How.ABSENT)}
    reasons = dict.fromkeys(absent, reason)
    if not has_compiler:
        reasons["flash"] = "the weights are exact, the code is estimated by that of RV32IMC"
    return Compiled(image.ram_static_bytes, image.flash_bytes, how, reasons)


def total_ram(m: Measurement) -> int:
    """Arena, other static data and stack, in bytes."""
    return m.ram_static_bytes + m.stack_bytes


def _measure(
    deployment: Deployment, target: Target, inputs: Sequence[Sequence[Array]], optimize: str
) -> Measured:
    watched = deployment.expected_instructions <= WATCHED_INSTRUCTIONS
    program = deployment.program
    for placed in target.placements:
        memory = placed.region("data").name
        try:
            m = measure(program, placed, inputs, optimize=optimize, seconds=SECONDS, watched=watched)
            return Measured(deployment, m, True, memory)
        except DoesNotFitError as error:
            obstacle = str(error)
            if placed is target and cores.load(target.core).board:  # QEMU's boards have the memory that they have
                raise
    roomy = measure(program, target.roomy(), inputs, optimize=optimize, seconds=SECONDS, watched=False)
    return Measured(deployment, roomy, False, memory, obstacle)


def outputs_of(measured: Measured) -> list[list[Array]]:
    """The measurement's outputs in the graph's types: one list per inference."""
    ports = measured.deployment.sources.outputs
    return [
        [np.asarray(raw).view(p.type.dtype.numpy).reshape(p.type.shape) for raw, p in zip(row, ports, strict=True)]
        for row in measured.measurement.outputs
    ]
