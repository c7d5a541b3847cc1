"""The order of a branching graph's layers with the least peak of activations."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from .layers import Layers

STATES = 30_000  # that are looked at before the best of the simple orders is taken


def reorder(layers: Layers) -> tuple[Layers, int]:
    """The layers in the order with the least peak, and a bound that no order goes below: the peak itself, where it is
    proven to be the least.

    The peak of an order is the most that exists between two layers, so results are taken to lie over operands that die
    with them. The search visits sets of computed layers, least peak first (Dijkstra's, with the maximum in place of the
    sum), so the first complete set is an optimum, and what is looked at last a bound. The given order stays where none
    is better.
    """
    sets = Sets(layers)
    given = tuple(range(len(layers.items)))
    peak, trivial = sets.peak(given), sets.bound()
    if peak == trivial:
        return layers, trivial
    best, bound = sets.search(trivial)
    best = min((best or given, sets.greedy()), key=sets.peak)
    if sets.peak(best) >= peak:
        return layers, bound
    return replace(layers, items=tuple(layers.items[k] for k in best)), bound


class Sets:
    """Sets of computed layers as bits of a number, and the bytes that exist behind them."""

    def __init__(self, layers: Layers) -> None:
        count = len(layers.items)
        self.count = count
        self.bytes = {root: layers.bytes(root) for root in layers.born}
        self.results = [layer.output for layer in layers.items]
        self.reads = [tuple({root for _, _, root in reads}) for reads in layers.reads]
        self.needs = [sum(1 << layers.born[r] for r in reads if layers.born[r] >= 0) for reads in self.reads]
        readers = dict.fromkeys(layers.born, 0)
        for k, reads in enumerate(self.reads):
            for root in reads:
                readers[root] |= 1 << k
        outputs = {layers.roots[o] for o in layers.graph.outputs}
        self.readers = {root: bits | (1 << count if root in outputs else 0) for root, bits in readers.items()}
        self.start = sum(self.bytes[i] for i in layers.graph.inputs if self.readers[i])

    def step(self, done: int, alive: int, k: int) -> int:
        """Bytes that exist behind layer k, computed where `done` is and `alive` bytes exist."""
        behind = done | 1 << k
        dying = sum(self.bytes[r] for r in self.reads[k] if not self.readers[r] & ~behind)
        result = self.results[k]
        return alive - dying + (self.bytes[result] if self.readers[result] & ~behind else 0)

    def peak(self, order: Sequence[int]) -> int:
        done, alive = 0, self.start
        peak = alive
        for k in order:
            alive = self.step(done, alive, k)
            done |= 1 << k
            peak = max(peak, alive)
        return peak

    def bound(self) -> int:
        """What the ends and every single layer need."""
        end = sum(self.bytes[r] for r, bits in self.readers.items() if bits >> self.count)
        operands = [sum(self.bytes[r] for r in reads) for reads in self.reads]
        results = [self.bytes[r] if self.readers[r] else 0 for r in self.results]
        return max(self.start, end, *operands, *results)

    def ready(self, done: int) -> list[int]:
        return [k for k in range(self.count) if not done >> k & 1 and not self.needs[k] & ~done]

    def greedy(self) -> tuple[int, ...]:
        """Always the layer behind which the least exists."""
        done, alive, order = 0, self.start, list[int]()
        while len(order) < self.count:
            alive, k = min((self.step(done, alive, k), k) for k in self.ready(done))
            done |= 1 << k
            order.append(k)
        return tuple(order)

    def search(self, bound: int) -> tuple[tuple[int, ...] | None, int]:
        """An order with the least peak and that peak, or None and a bound."""
        ticket = count()
        came: dict[int, tuple[int, int]] = {}  # set: the set before it, the layer between
        heap = [(max(self.start, bound), 0, next(ticket), 0, self.start, 0, -1)]
        for _ in range(STATES):
            peak, _, _, done, alive, before, last = heapq.heappop(heap)
            if done not in came:
                came[done] = (before, last)
                if done.bit_count() == self.count:
                    return self._path(came, done), peak
                for k in self.ready(done):
                    after = self.step(done, alive, k)
                    entry = (max(peak, after), -done.bit_count(), next(ticket), done | 1 << k, after, done, k)
                    heapq.heappush(heap, entry)
        return None, heap[0][0]

    @staticmethod
    def _path(came: dict[int, tuple[int, int]], done: int) -> tuple[int, ...]:
        order = []
        while done:
            done, k = came[done]
            order.append(k)
        return tuple(reversed(order))
