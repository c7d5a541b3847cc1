"""Which tensor lies where in the arena, and when: what a plan decides, as rows that can be drawn."""

from __future__ import annotations

from dataclasses import dataclass

from .plan import Patches, Plan


@dataclass(frozen=True)
class Tenant:
    """Bytes [offset, offset + bytes) of the arena, during [first, end): times in calls of `Plan.calls`, from 0.

    Call k takes the time from k to k + 1; where it computes patches, each of its steps takes the same part of that.
    `role` is input, output, activation, or scratch, which is named by its layer. A result that is computed in place
    shares bytes with its operand meanwhile.
    """

    name: str
    role: str
    offset: int
    bytes: int
    first: float
    end: float


def tenants(plan: Plan) -> tuple[Tenant, ...]:
    """All of them by their begin, then by their place. The largest end is `plan.arena_bytes`, but for alignment."""
    spans: dict[str, tuple[int, float, float]] = {}  # bytes, begin and end
    scratch: dict[tuple[int, int, float], Tenant] = {}
    for number, (group, steps) in enumerate(plan.calls):
        parts = len(steps) if isinstance(group, Patches) else 1  # all layers of a stream live at the same time
        for k, step in enumerate(steps):
            begin, end = (number + j / parts for j in ((k, k + 1) if parts > 1 else (0, 1)))
            for name, size in step.live:
                spans[name] = (size, spans[name][1] if name in spans else begin, end)
            if step.scratch_bytes:
                at, size = step.scratch_offset, step.scratch_bytes
                scratch[at, size, begin] = Tenant(step.node.name, "scratch", at, size, begin, end)
    roles = {**dict.fromkeys(plan.graph.outputs, "output"), **dict.fromkeys(plan.graph.inputs, "input")}
    values = [
        Tenant(name, roles.get(name, "activation"), plan.offsets[name], *span) for name, span in spans.items()
    ]
    return tuple(sorted([*values, *scratch.values()], key=lambda t: (t.first, t.offset, t.name)))
