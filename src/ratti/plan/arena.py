"""Placing blocks with life times in one arena."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ALIGNMENT = 4  # bytes; kernels read scratch as words


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


def live_bytes(blocks: Sequence[Block], steps: int) -> list[int]:
    """Bytes needed at each step."""
    return [sum(b.bytes for b in blocks if b.first <= k <= b.last) for k in range(steps)]


def place(blocks: Sequence[Block]) -> tuple[dict[str, int], int]:
    """Offsets by name, and the arena's size.

    First fit in several orders (largest first, longest-lived first, largest area first, by time); the best result is
    kept. Source: Pisarchyk & Lee 2020, "Efficient Memory Management for Deep Neural Net Inference", section 5.
    """
    orders = (
        sorted(blocks, key=lambda b: (-b.bytes, b.first, b.name)),
        sorted(blocks, key=lambda b: (b.first - b.last, -b.bytes, b.name)),
        sorted(blocks, key=lambda b: (-b.bytes * (b.last - b.first + 1), b.name)),
        sorted(blocks, key=lambda b: (b.first, -b.bytes, b.name)),
    )
    return min((_first_fit(order) for order in orders), key=lambda placed: placed[1])


def _first_fit(order: Sequence[Block]) -> tuple[dict[str, int], int]:
    placed: list[tuple[int, Block]] = []
    for block in order:
        offset = 0
        for start, other in sorted((p for p in placed if p[1].meets(block)), key=lambda p: p[0]):
            if offset + block.bytes <= start:
                break
            offset = max(offset, _align(start + other.bytes))
        placed.append((offset, block))
    size = max((start + b.bytes for start, b in placed), default=0)
    return {b.name: start for start, b in placed}, _align(size)


def _align(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT
