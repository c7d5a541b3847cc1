"""Layers that need several inputs, or only move channels: what residual, shuffled and gated blocks are wired with."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import Shape
from ._layers import Activation, Layer, SpecError, spatial


@dataclass(frozen=True)
class Add(Layer):
    """Sum of two inputs of one shape, and an activation."""

    activation: Activation = Activation.NONE

    def output_shape(self, *shapes: Shape) -> Shape:
        first, second = shapes
        if first != second:
            raise SpecError(f"the shortcut gives {second}, the body {first}; they are added")
        return first


@dataclass(frozen=True)
class Scale(Layer):
    """(H, W, C) times (1, 1, C): each channel by its gate."""

    def output_shape(self, *shapes: Shape) -> Shape:
        map_, gate = shapes
        if gate != (1, 1, spatial(map_)[2]):
            raise SpecError(f"a map of {map_} takes gates of (1, 1, {map_[2]}), not {gate}")
        return map_


@dataclass(frozen=True)
class Concat(Layer):
    """Inputs one behind the other along the channels, and an activation."""

    activation: Activation = Activation.NONE

    def output_shape(self, *shapes: Shape) -> Shape:
        if len({s[:-1] for s in shapes}) != 1:
            raise SpecError(f"inputs of {' and '.join(map(str, shapes))} cannot lie side by side")
        return (*shapes[0][:-1], sum(s[-1] for s in shapes))


@dataclass(frozen=True)
class Channels(Layer):
    """The channels from `begin` to `end`, not included."""

    begin: int
    end: int

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if not 0 <= self.begin < self.end <= shape[-1]:
            raise SpecError(f"channels {self.begin} to {self.end} of {shape[-1]}")
        return (*shape[:-1], self.end - self.begin)


@dataclass(frozen=True)
class Shuffle(Layer):
    """Channel g * n + k goes to k * groups + g (Zhang et al. 2018, ShuffleNet, section 3.1)."""

    groups: int

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if shape[-1] % self.groups:
            raise SpecError(f"{self.groups} groups do not divide {shape[-1]} channels")
        return shape


@dataclass(frozen=True)
class GlobalMean(Layer):
    """Mean over H and W that keeps them: (H, W, C) to (1, 1, C)."""

    def output_shape(self, *shapes: Shape) -> Shape:
        return 1, 1, spatial(shapes[0])[2]
