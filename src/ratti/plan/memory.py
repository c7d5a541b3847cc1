"""Which tensor lies where in the arena, and when: what a plan decides, as rows that can be drawn."""

from __future__ import annotations

from dataclasses import dataclass

from .plan import Plan


@dataclass(frozen=True)
class Tenant:
    """Bytes [offset, offset + bytes) of the arena, from call `first` to call `last` of `Plan.calls`, both included.

    `role` is input, output, activation, or scratch, which is named by its layer. A result that is computed in place
    shares bytes with its operand while that call runs.
    """

    name: str
    role: str
    offset: int
    bytes: int
    first: int
    last: int


def tenants(plan: Plan) -> tuple[Tenant, ...]:
    """All of them by their first call, then by their place. The largest end is `plan.arena_bytes` or below it by the
    arena's alignment.
    """
    spans: dict[str, tuple[int, int, int]] = {}  # bytes, first and last call
    scratch: list[Tenant] = []
    for number, (_, steps) in enumerate(plan.calls):
        for name, size in steps[0].live:  # one list for all steps of a call
            first = spans[name][1] if name in spans else number
            spans[name] = (size, first, number)
        taken = {(s.scratch_offset, s.scratch_bytes): s.node.name for s in steps if s.scratch_bytes}
        scratch += [Tenant(node, "scratch", at, size, number, number) for (at, size), node in taken.items()]
    roles = {**dict.fromkeys(plan.graph.outputs, "output"), **dict.fromkeys(plan.graph.inputs, "input")}
    values = [
        Tenant(name, roles.get(name, "activation"), plan.offsets[name], *span) for name, span in spans.items()
    ]
    return tuple(sorted([*values, *scratch], key=lambda t: (t.first, t.offset, t.name)))
