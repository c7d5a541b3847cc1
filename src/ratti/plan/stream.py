"""Several layers on a few rows at a time: each map between them is a window of rows, and nothing is computed twice.

A band of rows of the last layer asks for rows of the layers before it, as far back as the first. Rows that the next
band reads too stay in their windows, which slide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise

from ..kernels import Kernel, Overlap, Reach
from .layers import Layers

NEVER = 1 << 40  # a row that is not read


@dataclass(frozen=True)
class Bands:
    """How layers [begin, end) run as a stream."""

    begin: int
    end: int
    kernels: tuple[Kernel, ...]
    ends: tuple[tuple[int, ...], ...]  # by layer: rows that are done behind each band, and 0
    whole: tuple[str, ...]  # values that outlive the stream
    homes: Mapping[str, str]  # value: whose place it shares, or itself
    first: Mapping[str, tuple[int, ...]]  # value: first row in its window, by band; 0 for whole ones
    slides: frozenset[str]  # homes that keep rows from band to band
    bytes: Mapping[str, int]  # of the windows, by home
    scratch_bytes: int
    kept_bytes: Mapping[str, int]  # scratch of layers that keep it from band to band, by output
    instructions: float  # estimated, of all layers
    overlaps: Mapping[tuple[str, str], Overlap]  # (whole value, operand from outside that dies)


def make_bands(layers: Layers, begin: int, end: int, height: int) -> Bands | None:
    """Layers [begin, end) in bands of `height` rows of the last one; None where they cannot be streamed."""
    items = layers.items[begin:end]
    kernels = [layer.kernel for layer in items]
    summing = [o for o in items[-1].options if o.rows(items[-1].work) != items[-1].work.rows]
    kernels[-1] = (summing or kernels)[-1]  # a map that is only summed up need never be whole
    reaches = [kernel.reach(layer.work) for kernel, layer in zip(kernels, items, strict=True)]
    inner = zip(kernels[:-1], items[:-1], strict=True)
    if None in reaches or any(kernel.rows(layer.work) != layer.work.rows for kernel, layer in inner):
        return None
    flow = _Flow(layers, begin, end, kernels, [r for r in reaches if r is not None])
    return flow.bands(height) if flow.is_chain() else None


class _Flow:
    """The layers of a stream, while its bands are worked out."""

    def __init__(self, layers: Layers, begin: int, end: int, kernels: list[Kernel], reaches: list[Reach]) -> None:
        self.layers, self.begin, self.end, self.kernels, self.reaches = layers, begin, end, kernels, reaches
        self.items = layers.items[begin:end]
        self.rows = [k.rows(layer.work) for k, layer in zip(kernels, self.items, strict=True)]
        self.outputs = [layer.output for layer in self.items]
        self.at = {name: k for k, name in enumerate(self.outputs)}
        self.readers: dict[str, list[int]] = {}
        for k in range(begin, end):
            for _, _, root in layers.reads[k]:
                self.readers.setdefault(root, []).append(k - begin)
        self.whole = tuple(n for n in self.outputs if layers.last[n] >= end or n == self.outputs[-1])

    def is_chain(self) -> bool:
        """True where every layer but the last is read inside, as it is and not reshaped."""
        inside = set(self.outputs)
        reads = [read for k in range(self.begin, self.end) for read in self.layers.reads[k]]
        plain = all(name == root for _, name, root in reads if root in inside)
        sums = self._sums(len(self.items) - 1)
        read = all(n in self.readers for n in self.outputs[:-1])
        return plain and read and not (sums and len(self.layers.reads[self.end - 1]) != 1)

    def bands(self, height: int) -> Bands:
        ends = self._ends(height)
        count = len(ends[0]) - 1
        first = {name: self._first(name, ends, count) for name in self.outputs}
        homes = self._in_place(ends)
        for name, home in homes.items():
            first[name] = first[home]
        slides = frozenset(n for n in self.outputs if homes[n] == n and self._keeps(n, ends, first[n]))
        sizes = {
            n: self._row_bytes(n) * max(e - f for e, f in zip(ends[self.at[n]][1:], first[n], strict=True))
            for n in self.outputs
            if homes[n] == n and n not in self.whole
        }
        for name, window in self._over_dying_rows(ends, first, homes, slides, sizes).items():
            homes |= {n: window for n, home in homes.items() if home == name}
            del sizes[name]
        calls = [max(b - a for a, b in pairwise(e)) for e in ends]
        scratch, kept, instructions = 0, {}, sum(sizes[n] for n in slides) * count * 0.3  # words of a block move
        for k, (kernel, layer) in enumerate(zip(self.kernels, self.items, strict=True)):
            needed = kernel.scratch_bytes(layer.work, calls[k]) or 0
            if self._sums(k):
                kept[layer.output] = needed
            else:
                scratch = max(scratch, needed)
            instructions += kernel.instructions(layer.work) + kernel.banding(layer.work, calls[k])
        return Bands(
            begin=self.begin,
            end=self.end,
            kernels=tuple(self.kernels),
            ends=tuple(ends),
            whole=self.whole,
            homes=homes,
            first=first,
            slides=slides,
            bytes=sizes,
            scratch_bytes=scratch,
            kept_bytes=kept,
            instructions=instructions,
            overlaps=self._overlaps(ends, count),
        )

    def _sums(self, k: int) -> bool:
        """True where the calls of a layer count rows of its input."""
        return self.rows[k] != self.items[k].work.rows

    def _row_bytes(self, name: str) -> int:
        type = self.layers.graph.type(name)
        return type.bytes // type.shape[1]

    def _ends(self, height: int) -> list[tuple[int, ...]]:
        """Rows done behind each band: what the readers need, from the last layer back.

        Before the last layer begins, bands go by in which only the layers before it do, so that none computes more rows
        in its first band than in any other.
        """
        lead = 0
        while max(e[0] for e in self._wanted([-lead * height])) > 0:
            lead += 1
        wanted = self._wanted([height * (b - lead) for b in range(lead + 1 - self.rows[-1] // -height)], finish=True)
        ends = []
        for k, rows in enumerate(wanted):
            clipped = [max(min(r, self.rows[k]), 0) for r in rows]
            ends.append(tuple(accumulate(clipped, max)))
        return ends

    def _wanted(self, last: list[int], finish: bool = False) -> list[list[int]]:
        """The same by layer, of `last` rows of the last one; not clipped to the rows that there are. To `finish` is to
        compute all rows of whole values in the last band, and so all that they are computed from.
        """
        wanted = [last] * len(self.items)
        for k in reversed(range(len(self.items) - 1)):
            needs = [[self.reaches[r].end(rows) for rows in wanted[r]] for r in self.readers[self.outputs[k]]]
            wanted[k] = [max(each) for each in zip(*needs, strict=True)]
            if finish and self.outputs[k] in self.whole:
                wanted[k][-1] = max(wanted[k][-1], self.rows[k])
        return wanted

    def _first(self, name: str, ends: list[tuple[int, ...]], count: int) -> tuple[int, ...]:
        """The first row that a window must hold, by band: what is read first of it from then on."""
        if name in self.whole:
            return (0,) * count
        found = []
        for band in range(count):
            reading = [r for r in self.readers[name] if ends[r][band] < ends[r][-1]]
            found.append(min([*(self.reaches[r].first(ends[r][band]) for r in reading), ends[self.at[name]][band]]))
        return tuple(found)

    def _keeps(self, name: str, ends: list[tuple[int, ...]], first: tuple[int, ...]) -> bool:
        """True where rows of one band are read in another."""
        done = ends[self.at[name]]
        return name not in self.whole and any(f < e for f, e in zip(first[1:], done[1:-1], strict=True))

    def _in_place(self, ends: list[tuple[int, ...]]) -> dict[str, str]:
        """Where a value lies. One that a single layer reads row by row lies where that layer's result does, if results
        of its kernel may be in place.
        """
        homes = {n: n for n in self.outputs}
        taken: set[str] = set()
        for k in reversed(range(len(self.outputs) - 1)):
            name, readers = self.outputs[k], self.readers[self.outputs[k]]
            if name in self.whole or len(readers) != 1 or self._sums(readers[0]):
                continue
            result = self.outputs[readers[0]]
            overlap = self.layers.overlaps.get((self.begin + readers[0], name))
            alike = self._row_bytes(result) == self._row_bytes(name) and ends[k] == ends[readers[0]]
            in_place = overlap is not None and overlap.allows(0, 0) and overlap.distance <= 0
            if in_place and alike and self.reaches[readers[0]] == Reach() and result not in taken:
                homes[name] = homes[result]
                taken.add(result)
        return homes

    def _over_dying_rows(
        self,
        ends: list[tuple[int, ...]],
        first: Mapping[str, tuple[int, ...]],
        homes: Mapping[str, str],
        slides: frozenset[str],
        sizes: Mapping[str, int],
    ) -> dict[str, str]:
        """Values that keep no rows and lie over the rows of a window that die with them, as kernels on planes may."""
        found: dict[str, str] = {}
        for name in sizes:
            if name in slides:
                continue
            maker = min(self.at[n] for n, home in homes.items() if home == name)
            for _, _, window in self.layers.reads[self.begin + maker]:
                overlap = self.layers.overlaps.get((self.begin + maker, window))
                if window not in slides or max(self.readers[window]) != maker or overlap is None or overlap.step == 1:
                    continue
                result, operand = self._row_bytes(name), self._row_bytes(window)
                rows = [b - a for a, b in pairwise(ends[self.at[name]])]
                dying = [(b - a) * operand for a, b in pairwise(first[window])] + [sizes[window]]
                apart = [e * result - f * operand for e, f in zip(first[name], first[window], strict=True)]
                room = all(r * result <= d for r, d in zip(rows, dying, strict=True))
                if room and all(overlap.allows(0, distance) for distance in apart):
                    found[name] = window
        return found

    def _overlaps(self, ends: list[tuple[int, ...]], count: int) -> dict[tuple[str, str], Overlap]:
        """How whole results may overlap operands from outside that die: by bands, all of a band's rows as if written
        before its first read.
        """
        found: dict[tuple[str, str], Overlap] = {}
        for root, readers in self.readers.items():
            if root in self.at or self.layers.last[root] >= self.end:
                continue
            if any(n != r for k in readers for _, n, r in self.layers.reads[self.begin + k] if r == root):
                continue  # reshaped: its rows are others
            row_bytes = self._row_bytes(root)
            needed = []
            for band in range(count):
                reading = [r for r in readers if ends[r][band] < ends[r][-1]]
                rows = [max(self.reaches[r].first(ends[r][band]), 0) for r in reading]
                needed.append(min(rows, default=NEVER) * row_bytes)
            for name in self.whole:
                k = self.at[name]
                written = [done * self._row_bytes(name) for done in ends[k][1:]]
                if self._sums(k):
                    written = [0] * (count - 1) + [self.layers.bytes(name)]
                found[name, root] = Overlap(max(w - n for w, n in zip(written, needed, strict=True)))
        return found
