"""Separable blocks for features of audio (time, bands) and for windows of sensors (samples, 1, channels).

Zhang et al. 2017, "Hello Edge: Keyword Spotting on Microcontrollers", section 4: stem, depth, widths and strides. Over
signals of one column, kernels lie along time alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...nets._blocks import Block, Separable
from ...nets._layers import Activation, Conv
from ...nets._scale import scaled
from ...types import KIB, Shape
from .base import WIDTH, Choice, Part, Space, Task, Value

STEM = 64
STAGES = (64, 96)  # channels
WIDTHS = (0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0)
LEAST_MAP = 4  # along time: strides end there


class DsCnn(Space):
    id = "ds_cnn"
    ram_bytes = 4 * KIB
    order = 2

    def choices(self, task: Task) -> Mapping[str, tuple[Value, ...]]:
        along = task.shapes[0][1] == 1
        found: dict[str, tuple[Value, ...]] = {
            WIDTH: WIDTHS, "stem.kernel": (5, 7, 9) if along else (3, 5, 7), "stem.stride": (4, 2)}
        for k in range(1, len(STAGES) + 1):
            found |= {f"s{k}.depth": (1, 2, 3, 4), f"s{k}.width": (0.5, 0.75, 1.0),
                      f"s{k}.kernel": (3, 5, 7, 9) if along else (3, 5), f"s{k}.stride": (2, 1)}
        return found

    @classmethod
    def takes(cls, shape: Shape) -> bool:
        return shape[0] >= 8

    def body(self, choice: Choice, shape: Shape) -> tuple[Part, ...]:
        width, along = float(choice[WIDTH]), shape[1] == 1
        left = shape[0]

        def pair(size: Value) -> tuple[int, int]:
            return int(size), 1 if along else int(size)

        def stride(key: str) -> tuple[int, int]:
            nonlocal left
            step = int(choice[key])
            while step > 1 and -(-left // step) < LEAST_MAP:
                step //= 2
            left = -(-left // step)
            return pair(step)

        stem = Conv(scaled(STEM, width, 4), pair(choice["stem.kernel"]), stride("stem.stride"),
                    activation=Activation.RELU)
        parts = [Part("stem", (stem,))]
        for k, wide in enumerate(STAGES, 1):
            out, kernel = scaled(wide, width * choice[f"s{k}.width"], 4), pair(choice[f"s{k}.kernel"])
            first = stride(f"s{k}.stride")
            blocks: list[Block] = [Separable(out, kernel, first if i == 0 else (1, 1))
                                   for i in range(int(choice[f"s{k}.depth"]))]
            parts.append(Part(f"s{k}", tuple(blocks)))
        return tuple(parts)
