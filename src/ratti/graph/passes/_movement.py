"""Reorderings of elements: transposes, reshapes and any chain of them, as one thing that can be composed and read.

An index of the source is a number of mixed radix: its digits, outermost first. A reshape only groups digits in another
way; a transpose writes them in another order. So a chain is (digits, order), and two that cancel leave one digit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from ...types import Array, Shape

Cut = tuple[tuple[int, ...], tuple[int, ...]]  # digits, order


@dataclass(frozen=True)
class Movement:
    """`source` reordered to `target`: the target's k-th digit is the source's digit `order[k]`.

    Digits are as few as can be: neighbors that stay neighbors are one. None has size 1.
    """

    source: Shape
    target: Shape
    digits: tuple[int, ...]
    order: tuple[int, ...]

    @classmethod
    def identity(cls, shape: Shape) -> Movement:
        return _simple(shape, shape, (math.prod(shape),), (0,))

    @property
    def is_reshape(self) -> bool:
        """No element changes its place in memory."""
        return len(self.digits) < 2

    @property
    def is_identity(self) -> bool:
        return self.is_reshape and self.source == self.target

    @property
    def inverse(self) -> Movement:
        digits = tuple(self.digits[k] for k in self.order)
        return Movement(self.target, self.source, digits, tuple(int(k) for k in np.argsort(self.order)))

    def reshaped(self, shape: Shape) -> Movement:
        """This movement, then a reshape to `shape`."""
        return replace(self, target=shape)

    def viewed(self, shape: Shape) -> Movement:
        """This movement from a source of another shape with the same elements."""
        return replace(self, source=shape)

    def transposed(self, axes: tuple[int, ...]) -> Movement | None:
        """This movement, then a transpose to the axes `axes` of its target; None where a digit would have to be split
        into parts that do not divide it.
        """
        cut = self._cut(self.target, in_target=True)
        if cut is None:
            return None
        digits, order = cut
        groups = _groups([digits[k] for k in order], self.target)
        moved = tuple(order[k] for axis in axes for k in groups[axis])
        return _simple(self.source, tuple(self.target[a] for a in axes), digits, moved)

    @property
    def axes(self) -> tuple[int, ...] | None:
        """The axes of the one transpose that this is; None where it is more than that, or less."""
        if len(self.source) != len(self.target) or self.is_reshape:
            return None
        cut = self._cut(self.source, in_target=False)
        if cut is None:
            return None
        digits, order = cut
        owner = {tuple(g): axis for axis, g in enumerate(_groups(digits, self.source)) if g}
        spare = [a for a, n in enumerate(self.source) if n == 1]
        found: list[int] = []
        at = 0
        for size in self.target:
            if size == 1:
                if not spare:
                    return None
                found.append(spare.pop(0))
                continue
            axis = next((a for g, a in owner.items() if tuple(order[at : at + len(g)]) == g), None)
            if axis is None or self.source[axis] != size:
                return None
            at += len(next(g for g, a in owner.items() if a == axis))
            found.append(axis)
        return tuple(found)

    @property
    def channels(self) -> Array | None:
        """Source channel of each target channel where nothing but the last dimension is reordered, else None."""
        if self.source != self.target or self.is_reshape:
            return None
        cut = self._cut((math.prod(self.source[:-1]), self.source[-1]), in_target=False)
        if cut is None:
            return None
        digits, order = cut
        outer = len(digits) - len(_groups(digits, (math.prod(self.source[:-1]), self.source[-1]))[1])
        if order[:outer] != tuple(range(outer)):
            return None
        inner = [k - outer for k in order[outer:]]
        return np.arange(self.source[-1]).reshape(digits[outer:]).transpose(inner).ravel()

    def on(self, shape: Shape) -> Movement | None:
        """The same reordering of channels on a map of another height and width."""
        size = math.prod(self.source[:-1])
        cut = self._cut((size, self.source[-1]), in_target=False)
        if cut is None or self.channels is None or shape[-1] != self.source[-1]:
            return None
        digits, order = cut
        outer = len(digits) - len(_groups(digits, (size, self.source[-1]))[1])
        new = (math.prod(shape[:-1]), *digits[outer:])
        return _simple(shape, shape, new, (0, *(k - outer + 1 for k in order[outer:])))

    def apply(self, data: Array) -> Array:
        """`data` of the source's elements, reordered: an array of the target's shape."""
        return data.reshape(self.digits).transpose(self.order).reshape(self.target)

    def steps(self) -> list[tuple[Shape, tuple[int, ...], Shape]]:
        """As few ops as express it: (shape to view the source in, axes to transpose to, shape to view that in).

        The first dimension (samples) stays in front where it is not reordered.
        """
        if self.is_reshape:
            return []
        axes = self.axes
        if axes is not None:
            return [(self.source, axes, self.target)]
        digits, order = self.digits, self.order
        samples = self.source[0]
        if samples == self.target[0]:
            cut = self._cut((samples, math.prod(self.source[1:])), in_target=False)
            if cut is not None and (samples == 1 or cut[1][0] == 0):
                digits, order = cut
                if samples == 1:
                    digits, order = (1, *digits), (0, *(k + 1 for k in order))
        return [(digits, order, self.target)]

    def _cut(self, shape: Shape, in_target: bool) -> Cut | None:
        """Digits split so that every dimension of `shape`, laid along the target or the source, begins with one."""
        sequence = self.order if in_target else tuple(range(len(self.digits)))
        wanted = set(_strides(shape))
        parts: dict[int, list[int]] = {}
        stride = 1
        for k in reversed(sequence):
            top = stride * self.digits[k]
            marks = [top, *sorted((w for w in wanted if stride < w < top), reverse=True), stride]
            if any(a % b for a, b in pairwise(marks)):
                return None
            parts[k] = [a // b for a, b in pairwise(marks)]
            stride = top
        starts = np.cumsum([0, *(len(parts[k]) for k in range(len(self.digits)))])
        digits = tuple(size for k in range(len(self.digits)) for size in parts[k])
        return digits, tuple(int(starts[k]) + j for k in self.order for j in range(len(parts[k])))


def _simple(source: Shape, target: Shape, digits: tuple[int, ...], order: tuple[int, ...]) -> Movement:
    """A movement with digits of size 1 left out and neighbors joined."""
    runs: list[list[int]] = []  # of source digits that stay together
    kept = [k for k in order if digits[k] > 1]
    rank = {k: i for i, k in enumerate(sorted(kept))}
    for k in kept:
        if runs and rank[k] == rank[runs[-1][-1]] + 1:
            runs[-1].append(k)
        else:
            runs.append([k])
    by_source = sorted(runs)
    sizes = tuple(math.prod(digits[k] for k in run) for run in by_source)
    return Movement(source, target, sizes, tuple(by_source.index(run) for run in runs))


def _strides(shape: Shape) -> list[int]:
    return [math.prod(shape[k + 1 :]) for k in range(len(shape))]


def _groups(digits: list[int] | tuple[int, ...], shape: Shape) -> list[list[int]]:
    """Which digits make up each dimension; those of size 1 have none."""
    groups: list[list[int]] = []
    at = 0
    for size in shape:
        group: list[int] = []
        product = 1
        while product < size:
            product *= digits[at]
            group.append(at)
            at += 1
        groups.append(group)
    return groups
