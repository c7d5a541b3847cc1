"""Nets for parts with 2 KB of RAM, such as the CH32V003, which has no multiply instruction either.

A strided convolution brings the input down before the first wide map, then a few separable blocks (Howard et al. 2017).
Without a multiplier a layer costs by the bits of its weights: what is measured decides, and no count of MACs.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...nets._blocks import Block, Separable
from ...nets._layers import Activation, Conv
from ...types import Shape
from .base import WIDTH, Choice, Part, Space, Task, Value

WIDTHS = (4, 8, 12, 16, 24)  # channels of the stem
LEAST_MAP = 3


class Tiny(Space):
    id = "tiny"
    order = 3

    @classmethod
    def takes(cls, shape: Shape) -> bool:
        return shape[0] >= LEAST_MAP

    def choices(self, task: Task) -> Mapping[str, tuple[Value, ...]]:
        found: dict[str, tuple[Value, ...]] = {WIDTH: WIDTHS, "stem.kernel": (2, 3, 5), "stem.stride": (4, 3, 2)}
        for k in (1, 2):
            found |= {f"s{k}.depth": (1, 2), f"s{k}.width": (1.0, 1.5, 2.0, 3.0), f"s{k}.kernel": (3, 5),
                      f"s{k}.stride": (2, 1)}
        return found

    def body(self, choice: Choice, shape: Shape) -> tuple[Part, ...]:
        channels = int(choice[WIDTH])
        sides = list(shape[:2])

        def pair(size: Value) -> tuple[int, int]:
            return (int(size) if shape[0] > 1 else 1), (int(size) if shape[1] > 1 else 1)

        def stride(key: str) -> tuple[int, int]:
            steps = [max(1, min(int(choice[key]), side // LEAST_MAP)) for side in sides]
            sides[:] = [-(-side // step) for side, step in zip(sides, steps, strict=True)]
            return steps[0], steps[1]

        stem = Conv(channels, pair(choice["stem.kernel"]), stride("stem.stride"), activation=Activation.RELU)
        parts = [Part("stem", (stem,))]
        for k in (1, 2):
            out, kernel = int(channels * choice[f"s{k}.width"]), pair(choice[f"s{k}.kernel"])
            first = stride(f"s{k}.stride")
            blocks: list[Block] = [Separable(out, kernel, first if i == 0 else (1, 1))
                                   for i in range(int(choice[f"s{k}.depth"]))]
            parts.append(Part(f"s{k}", tuple(blocks)))
        return tuple(parts)
