"""Statistics of windows: what a second of a sensor is like, in a few whole numbers for each of its channels.

A window is cut into segments; each gives, channel by channel: mean, standard deviation, root mean square, least and
greatest value, how often the signal crosses its mean, and the energy of octave bands as 256 log2, the highest band
first. Bands are those of the Haar wavelet (Mallat 1989, "A theory for multiresolution signal decomposition"): halved
differences of neighbors are a band, and their halved sums go on to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...types import Array, Shape
from ..base import FrontEnd, Program, Window
from . import reference

MOST_SAMPLES = 1 << 14  # of a segment: sums stay in 32 bits, squares in 64


@dataclass(frozen=True)
class Statistics(FrontEnd):
    """(segments * samples * channels,) int16, channels side by side, to (segments, 1, channels * values) int16.

    `kinds` are names of `reference.KINDS`, in that order; `octaves` bands follow them.
    """

    segments: int
    segment_samples: int
    channels: int
    kinds: tuple[str, ...] = reference.KINDS
    octaves: int = 4

    name: ClassVar[str] = "statistics"

    def __post_init__(self) -> None:
        if min(self.segments, self.channels) < 1 or not 2 <= self.segment_samples <= MOST_SAMPLES:
            raise ValueError(f"{self.segments} segments of {self.segment_samples} samples of {self.channels} channels; "
                             f"at least 1 segment of 2 to {MOST_SAMPLES} samples is needed")
        strange = sorted(set(self.kinds) - set(reference.KINDS))
        if strange:
            raise ValueError(f"unknown statistic '{strange[0]}'; known: {', '.join(reference.KINDS)}")
        object.__setattr__(self, "kinds", tuple(k for k in reference.KINDS if k in self.kinds))
        if not 0 <= self.octaves < self.segment_samples.bit_length():
            raise ValueError(f"{self.octaves} octaves of {self.segment_samples} samples; 0 to "
                             f"{self.segment_samples.bit_length() - 1} are allowed")
        if not self.kinds and not self.octaves:
            raise ValueError("no statistic is asked for")

    @classmethod
    def fit(cls, window: Window, resolution: int | None, *, segments: int = 0,  # type: ignore[override]
            kinds: tuple[str, ...] | str = reference.KINDS, octaves: int | None = None) -> Statistics:
        """As many segments as the net has rows (1 where it does not say), all of one length: the rest is left out. Four
        octaves, or as many as a segment has.
        """
        height, width, channels = window.shape
        if width != 1:
            raise ValueError(f"a window of {window.shape}; (samples, 1, channels) is needed")
        count = segments or resolution or 1
        each = height // count
        names = (kinds,) if isinstance(kinds, str) else kinds
        return cls(count, each, channels, names, max(min(4, each.bit_length() - 1), 0) if octaves is None else octaves)

    @property
    def samples(self) -> int:
        return self.segments * self.segment_samples * self.channels

    @property
    def side_by_side(self) -> int:
        return self.channels

    @property
    def output_shape(self) -> Shape:
        return self.segments, 1, self.channels * (len(self.kinds) + self.octaves)

    def compute(self, samples: Array) -> Array:
        self._check(samples)
        x = samples.reshape(-1, self.segment_samples, self.channels).astype(np.int64).transpose(0, 2, 1)
        values = reference.statistics(x, self.kinds, self.octaves)  # (rows, channels, values)
        return values.reshape(len(samples), *self.output_shape)

    def program(self) -> Program:
        step = self.segment_samples * self.channels
        fields = {"samples": self.segment_samples, "channels": self.channels, "octaves": self.octaves}
        fields |= {kind: int(kind in self.kinds) for kind in reference.KINDS}
        scratch = 2 * max(self.segment_samples // 2, 1)
        return Program("statistics/statistics.h", "ratti_statistics", self.segments, step, step, self.output_shape[2],
                       scratch, ("ratti_statistics_sizes", fields))


FRONT_END = Statistics
EXAMPLES = (
    Statistics(1, 64, 3),
    Statistics(4, 37, 1, ("mean", "deviation"), 0),
    Statistics(3, 50, 2, ("crossings", "largest"), 5),
    Statistics(2, 31, 1, (), 4),
)
