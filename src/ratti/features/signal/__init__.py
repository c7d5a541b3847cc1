"""Raw windows of a sensor, as they are: only their codes are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...types import Array, Shape
from ..base import FrontEnd, Program, Window


@dataclass(frozen=True)
class Signal(FrontEnd):
    """(height * width * channels,) int16, unchanged."""

    shape: tuple[int, int, int]

    name: ClassVar[str] = "signal"

    def __post_init__(self) -> None:
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"a window is (H, W, C), each at least 1, not {self.shape}")

    @classmethod
    def fit(cls, window: Window, resolution: int | None) -> Signal:  # type: ignore[override]
        height, width, channels = window.shape
        return cls((height, width, channels))

    @property
    def samples(self) -> int:
        return int(np.prod(self.shape))

    @property
    def side_by_side(self) -> int:
        return self.shape[1] * self.shape[2]

    @property
    def output_shape(self) -> Shape:
        return self.shape

    def compute(self, samples: Array) -> Array:
        self._check(samples)
        return samples.reshape(-1, *self.shape)

    def program(self) -> Program:
        return Program("signal/signal.h", "ratti_signal", 1, self.samples, self.samples, self.samples, 0,
                       ("ratti_signal_sizes", {"samples": self.samples}))


FRONT_END = Signal
EXAMPLES = (Signal((24, 1, 1)), Signal((9, 1, 3)))
