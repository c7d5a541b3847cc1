"""Layers measured apart from nets: many in one firmware, each with its own count. What a search composes costs from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .device import cache, cores, cycles, toolchain
from .device.measure import measure
from .device.program import Program, Slot
from .emit import c
from .errors import InputError
from .graph.builder import GraphBuilder
from .plan import LayerFigures, Plan, Step
from .targets import Target
from .types import Array, DType, Quant, TensorType

SECONDS = 120.0  # for one run of all layers of a firmware
MOST = 48  # layers in one firmware


class LayerMeter:
    """Measures layers on `target`. `watched` counts the waiting for flash too, at ten times the time.

    InputError where the target's core has no emulator here.
    """

    def __init__(self, target: Target, optimize: str = "speed", watched: bool = True) -> None:
        obstacle = cores.load(target.core).obstacle
        if obstacle:
            raise InputError(f"{target.id}: nothing can be measured: {obstacle}")
        self.target, self.optimize, self.watched = target, optimize, watched

    @property
    def identity(self) -> str:
        """What figures depend on beside the layer: the part, the compiler, the emitter, the table of cycles, how it is
        measured here.
        """
        files = (Path(cycles.__path__[0]) / f"{self.target.core}.py", Path(c.__file__), Path(__file__))
        texts = [f.read_text(encoding="utf-8") for f in files if f.exists()]
        return cache.key([repr(self.target), toolchain.zig_version(), self.optimize, self.watched, texts])

    def __call__(self, steps: Sequence[Step]) -> list[LayerFigures]:
        """Figures of layers, which may come from the plans of different nets."""
        found: list[LayerFigures] = []
        for k in range(0, len(steps), MOST):
            found += self._measure(steps[k : k + MOST])
        return found

    def _measure(self, steps: Sequence[Step]) -> list[LayerFigures]:
        bench = _Bench.of(steps)
        sources = c.emit(bench.plan, "layers")
        program = Program(sources.files, sources.entry, sources.arena_bytes, (Slot(0, sources.arena_bytes),),
                          (Slot(0, 4),), sources.steps)
        roomy = self.target.roomy()
        image = toolchain.build(program, roomy, self.optimize).image
        m = measure(program, roomy, [[bench.content]], optimize=self.optimize, seconds=SECONDS, watched=self.watched)
        sizes = {name: image.symbol(name).bytes for name in set(sources.functions)}
        tables = {(t.ctype, t.data.tobytes()): t.bytes for s in steps for t in s.call.tables}
        calls = image.symbol(sources.entry).bytes
        shared = image.flash_bytes - sum(sizes.values()) - sum(tables.values()) - calls
        return [
            LayerFigures(
                figures.instructions,
                figures.cycles.low if figures.cycles else None,
                figures.cycles.high if figures.cycles else None,
                sizes[function] + calls // len(steps),
                shared,
                m.ram_static_bytes - bench.plan.arena_bytes + m.stack_bytes,
            )
            for figures, function in zip(m.steps, sources.functions, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class _Bench:
    """A plan that runs layers one after the other, each with operands of its own, and the arena's content before."""

    plan: Plan
    content: Array

    @classmethod
    def of(cls, steps: Sequence[Step]) -> _Bench:
        offsets: dict[str, int] = {}
        pieces: list[Array] = []
        end = 0
        renamed = []
        for k, step in enumerate(steps):
            rng = np.random.default_rng(0)  # a layer's operands do not depend on its company
            named: Mapping[str, str] = {n: f"v{k}_{n}" for n in step.inputs}
            variable = [o.type for o in step.work.operands if o.data is None]
            types = dict(zip(step.inputs, variable, strict=True))
            for name, type in types.items():
                offsets[named[name]] = end
                pieces.append(_activations(type, rng))
                end += len(pieces[-1])
            node = replace(step.node, name=f"layer{k}")
            renamed.append(replace(step, node=node, inputs=tuple(named[n] for n in step.inputs), output=f"y{k}"))
        largest = max(s.work.output.bytes for s in steps)
        scratch_at = end + _aligned(largest)
        offsets |= {s.output: end for s in renamed}
        arena = scratch_at + _aligned(max(s.scratch_bytes for s in steps)) + 4
        builder = GraphBuilder("layers")
        first = builder.input("arena", TensorType((1, 4), DType.INT8, Quant.per_tensor(1.0, 0)))
        plan = Plan(
            graph=builder.build([first]),
            steps=tuple(replace(s, scratch_offset=scratch_at) for s in renamed),
            patches=None,
            streams=(),
            offsets={**offsets, first: 0},
            arena_bytes=arena,
            activation_bytes=scratch_at,
            lower_bound_bytes=0,
        )
        content = np.concatenate([*pieces, np.zeros(arena - end, np.uint8)])
        return cls(plan, content)


def _activations(type: TensorType, rng: np.random.Generator) -> Array:
    """Bytes of random codes: normal, of deviation 1 as nets keep it (He et al. 2015) and cut off below where the zero
    point is at the bottom; uniform where the type holds less than that, as of inputs. Where there is no multiplier,
    values decide how long a layer takes.
    """
    low, high = type.dtype.limits
    deviation = np.inf if type.quant is None else 1 / type.scale
    if deviation > (high - low) / np.sqrt(12):
        codes = rng.integers(low, high + 1, type.elements)
    else:
        codes = np.clip(np.rint(rng.normal(type.zero_point, deviation, type.elements)), low, high)
    raw = codes.astype(type.dtype.numpy).view(np.uint8)
    return np.concatenate([raw, np.zeros(_aligned(len(raw)) - len(raw), np.uint8)])


def _aligned(size: int) -> int:
    return -(-size // 4) * 4
