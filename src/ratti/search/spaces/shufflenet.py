"""ShuffleNetV2 units for pictures: depth and width of each stage, and how much of a unit's output is computed.

Ma et al. 2018, "ShuffleNet V2", figure 3; widths within a unit as in Guo et al. 2020, "Single Path One-Shot". The table
of stages is ratti's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...nets._blocks import Block, ShuffleUnitV2
from ...nets._layers import Activation, Conv
from ...nets._scale import adapted_strides, scaled
from ...types import KIB, Shape
from .base import WIDTH, Choice, Part, Space, Task, Value

STEM = 16
STAGES = (48, 96, 192)  # channels; each halves the map
WIDTHS = (0.25, 0.35, 0.5, 0.75, 1.0)


class ShuffleNet(Space):
    id = "shufflenet"
    ram_bytes = 8 * KIB
    order = 1

    @classmethod
    def takes(cls, shape: Shape) -> bool:
        return min(shape[:2]) >= 8

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        return cls.takes(shape) and max(shape[:2]) <= 2 * min(shape[:2])  # a picture, no spectrogram

    def choices(self, task: Task) -> Mapping[str, tuple[Value, ...]]:
        found: dict[str, tuple[Value, ...]] = {WIDTH: WIDTHS, "head.width": (0.5, 1.0)}
        for k in range(1, len(STAGES) + 1):
            found |= {f"s{k}.depth": (1, 2, 3, 4), f"s{k}.width": (0.75, 1.0), f"s{k}.hidden": (0.5, 1.0, 1.5)}
        return found

    def body(self, choice: Choice, shape: Shape) -> tuple[Part, ...]:
        stem_stride, *strides = adapted_strides((2, *(2 for _ in STAGES)), min(shape[:2]))
        width = float(choice[WIDTH])
        parts = [Part("stem", (Conv(scaled(STEM, width, 8), (3, 3), (stem_stride, stem_stride),
                                    activation=Activation.RELU),))]
        for k, (wide, first) in enumerate(zip(STAGES, strides, strict=True), 1):
            out = scaled(wide, width * choice[f"s{k}.width"], 8)
            hidden = scaled(out / 2, float(choice[f"s{k}.hidden"]), 4)
            # The first unit makes the stage's channels from the whole input, whatever its stride: both halves compute.
            blocks: list[Block] = [_down(hidden, out, first)] if first > 1 else [
                Conv(out, activation=Activation.RELU)]
            blocks += [ShuffleUnitV2(hidden, out, out // 2) for _ in range(int(choice[f"s{k}.depth"]))]
            parts.append(Part(f"s{k}", tuple(blocks)))
        last = Conv(scaled(2 * STAGES[-1], width * choice["head.width"], 8), activation=Activation.RELU)
        return (*parts, Part("last", (last,)))


def _down(hidden: int, out: int, stride: int) -> ShuffleUnitV2:
    return ShuffleUnitV2(hidden, out, out // 2, (stride, stride))
