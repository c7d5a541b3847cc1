"""What would bring a model's figures down, in numbers of this model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..plan import Plan

if TYPE_CHECKING:
    from .check import CheckResult

NEAR = 0.8  # share of a limit from which advice is worth its line


def advise(result: CheckResult, plan: Plan) -> Iterator[str]:
    """Lines for the user: the RAM peak, then what helps with each figure that is over or near its limit."""
    yield _peak(plan)
    if result.ram["total"] > NEAR * result.ram["limit"]:
        yield from _ram(result, plan)
    if result.flash["total"] > NEAR * result.flash["limit"]:
        yield from _flash(result)
    if result.instructions is not None:
        yield _time(result)


def _peak(plan: Plan) -> str:
    step = plan.peak
    parts = [f"{name} {size:,} B" for name, size in step.live]
    if step.call.scratch_bytes:
        parts.append(f"scratch {step.call.scratch_bytes:,} B")
    shared = f" - {step.shared_bytes:,} B that they share" if step.shared_bytes else ""
    return f"RAM peaks in {step.node.name} at {step.live_bytes:,} B: {' + '.join(parts)}{shared}"


def _ram(result: CheckResult, plan: Plan) -> Iterator[str]:
    over = result.ram["total"] - result.ram["limit"]
    if over <= 0:
        return
    arena_limit = plan.arena_bytes - over
    if arena_limit <= 0:
        yield (
            f"RAM: stack and static data alone take {(result.ram['stack'] or 0) + result.ram['static']:,} B "
            f"of {result.ram['limit']:,} B; this device is too small for the engine"
        )
        return
    factor = arena_limit / plan.arena_bytes
    yield (
        f"RAM: activations must shrink to {factor:.0%}: an input of {factor**0.5:.0%} of the height and width, "
        f"or {factor:.0%} of the channels, in the layers at the peak"
    )


def _flash(result: CheckResult) -> Iterator[str]:
    over = result.flash["total"] - result.flash["limit"]
    largest = sorted(result.layers, key=lambda layer: -layer.weights)[:3]
    names = ", ".join(f"{layer.name} {layer.weights:,} B" for layer in largest if layer.weights)
    if result.optimize == "speed":
        yield "flash: --optimize size makes the code smaller"
    if over > 0 and names:
        yield f"flash: {over:,} B must go; the largest weights are {names}"


def _time(result: CheckResult) -> str:
    counts = {layer.name: layer.instructions or 0 for layer in result.layers}
    top = sorted(counts, key=lambda name: -counts[name])[:3]
    share = sum(counts[name] for name in top) / max(sum(counts.values()), 1)
    return f"time: {share:.0%} of the instructions are in {', '.join(top)}"
