"""Placing blocks with life times in one arena, where a result may lie over an operand that dies."""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..kernels import Overlap

ALIGNMENT = 4  # bytes; kernels read scratch as words
VARIATIONS = 600  # of an order, where no first fit meets the bound
MOST_BLOCKS = 100  # that are varied


@dataclass(frozen=True)
class Block:
    """`bytes` that are needed from step `first` to step `last`, both included; outputs last beyond the last step."""

    name: str
    bytes: int
    first: int
    last: int

    def meets(self, other: Block) -> bool:
        """True where both are needed at some step."""
        return self.first <= other.last and other.first <= self.last


Rules = Mapping[tuple[str, str], Overlap]  # (result, operand), for an operand that dies where the result is born

Meets = Mapping[str, frozenset[str]]  # by block, those that are needed at the same time


def live_bytes(blocks: Sequence[Block], steps: int) -> list[int]:
    """Bytes needed at each step."""
    return [sum(b.bytes for b in blocks if b.first <= k <= b.last) for k in range(steps)]


def least(blocks: Sequence[Block], rules: Rules) -> int:
    """Bytes that no placement can go below: the largest need of a step, with the best overlap that its rules allow."""
    by_result: dict[str, list[str]] = {}
    for result, operand in rules:
        by_result.setdefault(result, []).append(operand)
    most = 0
    for step in sorted({b.first for b in blocks}):
        alive = {b.name: b.bytes for b in blocks if b.first <= step <= b.last}
        need = sum(alive.values())
        for result, operands in by_result.items():
            over = [o for o in operands if o in alive]
            if result in alive and over:
                apart = alive[result] + sum(alive[o] for o in over)
                shared = max(_union(alive[result], alive[o], rules[result, o].distance) for o in over)
                need -= apart - max(shared, sum(alive[o] for o in over))
        most = max(most, need)
    return most


def _union(result: int, operand: int, distance: int) -> int:
    """Bytes that a result and an operand at least `distance` behind it take together."""
    return min(max(result, operand, distance + operand), result + operand)


def shared_bytes(blocks: Iterable[Block], offsets: Mapping[str, int]) -> int:
    """How much less of the arena the blocks take than their sizes add up to."""
    end = shared = 0
    for start, stop in sorted((offsets[b.name], offsets[b.name] + b.bytes) for b in blocks):
        shared += max(min(end, stop) - start, 0)
        end = max(end, stop)
    return shared


def place(blocks: Sequence[Block], rules: Rules | None = None) -> tuple[dict[str, int], int]:
    """Offsets by name, and the arena's size.

    First fit in several orders (largest first, longest-lived first, largest area first, by time forward and backward).
    Where the best result is above `least` and there are few blocks, its order is varied.
    Source: Pisarchyk & Lee 2020, "Efficient Memory Management for Deep Neural Net Inference", section 5.
    """
    rules = rules or {}
    orders = (
        sorted(blocks, key=lambda b: (-b.bytes, b.first, b.name)),
        sorted(blocks, key=lambda b: (b.first - b.last, -b.bytes, b.name)),
        sorted(blocks, key=lambda b: (-b.bytes * (b.last - b.first + 1), b.name)),
        sorted(blocks, key=lambda b: (b.first, -b.bytes, b.name)),
        sorted(blocks, key=lambda b: (-b.last, -b.bytes, b.name)),
    )
    bound = _align(least(blocks, rules))
    meets = {b.name: frozenset(o.name for o in blocks if o.meets(b)) for b in blocks}
    best = min((_Placement(o, rules, meets) for o in orders), key=lambda p: p.size)
    dice = random.Random(0)
    for _ in range(VARIATIONS if len(blocks) <= MOST_BLOCKS else 0):
        if best.size <= bound:
            break
        varied = list(best.order)
        top = varied.index(dice.choice(best.top if dice.random() < 0.5 else varied))
        varied.insert(dice.randint(0, len(varied) - 1), varied.pop(top))
        found = _Placement(varied, rules, meets)
        if found.size <= best.size:
            best = found
    return best.offsets, best.size


class _Placement:
    """First fit in one order."""

    def __init__(self, order: Sequence[Block], rules: Rules, meets: Meets) -> None:
        self.order, self._rules = list(order), rules
        self._meets = meets
        placed: list[tuple[int, Block]] = []
        for block in order:
            insort(placed, (self._lowest(block, placed), block), key=lambda p: p[0])
        self.offsets = {b.name: at for at, b in placed}
        end = max((at + b.bytes for at, b in placed), default=0)
        self.top = [b for at, b in placed if at + b.bytes == end]
        self.size = _align(end)

    def _lowest(self, block: Block, placed: Sequence[tuple[int, Block]]) -> int:
        meets = self._meets[block.name]
        others = [p for p in placed if p[1].name in meets]
        offset, before = 0, -1
        while offset != before:
            before = offset
            for at, other in others:
                if offset < at + other.bytes and at < offset + block.bytes:
                    offset = self._beside(block, offset, other, at)
        return offset

    def _beside(self, block: Block, offset: int, other: Block, at: int) -> int:
        """The lowest offset from `offset` on where `block` is not in the way of `other`, which it touches."""
        behind = _align(at + other.bytes)
        rule = self._rules.get((other.name, block.name))
        if rule is not None:  # the block is the operand
            start = _on_grid(max(offset, _align(at + rule.distance)), at + rule.distance, rule.step)
            return min(start, behind) if rule.allows(at, start) else behind
        rule = self._rules.get((block.name, other.name))
        if rule is not None:
            start = _on_grid(offset, at - rule.distance, rule.step)
            return start if rule.allows(start, at) else behind
        return behind


def _on_grid(offset: int, origin: int, step: int) -> int:
    """The first aligned offset from `offset` on that is a multiple of `step` from `origin`; `offset` where none is."""
    for candidate in range(offset, offset + step * ALIGNMENT, ALIGNMENT):
        if (candidate - origin) % step == 0:
            return candidate
    return offset


def _align(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
