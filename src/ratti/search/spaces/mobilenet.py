"""Inverted residuals for pictures: kernel, expansion, depth, width and squeeze-and-excitation of each stage.

The choices are those of Cai et al. 2019 (ProxylessNAS) and Lin et al. 2020 (MCUNet, section 3.2): kernels 3, 5, 7;
expansions 3 to 6; and the width of the whole net and its input's resolution. The table of stages is ratti's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from ...nets._blocks import Block, InvertedResidual
from ...nets._layers import Activation, Conv
from ...nets._scale import adapted_strides, scaled
from ...types import KIB, Shape
from .base import WIDTH, Choice, Part, Space, Task, Value

STEM = 16
STAGES = ((16, 1), (24, 2), (40, 2), (80, 2), (128, 2))  # channels, stride of the first block
WIDTHS = (0.15, 0.25, 0.35, 0.5, 0.75, 1.0)
KERNELS = (3, 5, 7)


class MobileNet(Space):
    id = "mobilenet"
    ram_bytes = 8 * KIB

    @classmethod
    def takes(cls, shape: Shape) -> bool:
        return min(shape[:2]) >= 8

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        return cls.takes(shape) and max(shape[:2]) <= 2 * min(shape[:2])  # a picture, no spectrogram

    def choices(self, task: Task) -> Mapping[str, tuple[Value, ...]]:
        found: dict[str, tuple[Value, ...]] = {WIDTH: WIDTHS}
        for k in range(1, len(STAGES) + 1):
            found |= {
                f"s{k}.depth": (1, 2, 3) if k > 1 else (1,),
                f"s{k}.width": (0.75, 1.0),
                f"s{k}.expansion": (2, 3, 4, 6) if k > 1 else (1, 2, 3),
                f"s{k}.kernel": KERNELS,
                f"s{k}.squeeze": (0, 1),
            }
        return found

    def body(self, choice: Choice, shape: Shape) -> tuple[Part, ...]:
        stem_stride, *strides = adapted_strides((2, *(s for _, s in STAGES)), min(shape[:2]))
        width = float(choice[WIDTH])
        channels = scaled(STEM, width, 4)
        stem = Conv(channels, (3, 3), (stem_stride, stem_stride), activation=Activation.RELU6)
        parts = [Part("stem", (stem,))]
        for k, ((wide, _), first) in enumerate(zip(STAGES, strides, strict=True), 1):
            own = {key: choice[f"s{k}.{key}"] for key in ("depth", "width", "expansion", "kernel", "squeeze")}
            out, kernel = scaled(wide, width * own["width"], 4), int(own["kernel"])
            blocks: list[Block] = []
            for i in range(int(own["depth"])):
                stride, hidden = first if i == 0 else 1, channels * int(own["expansion"])
                blocks.append(InvertedResidual(
                    hidden if hidden != channels else None, out, (kernel, kernel), (stride, stride),
                    residual=stride == 1 and channels == out,
                    squeeze=scaled(hidden / 4, 1.0, 4) if own["squeeze"] else None))
                channels = out
            parts.append(Part(f"s{k}", tuple(blocks)))
        return tuple(parts)
