"""Log-mel spectrograms, and MFCCs from them, in 16-bit integers.

A frame is shifted left as far as it goes, windowed (Hann), transformed by a fixed-point FFT that halves at each stage,
and its power summed in triangles that are equally wide on the mel scale (Davis & Mermelstein 1980; the formula 2595
log10(1 + f / 700) of O'Shaughnessy 1987). The logarithm undoes the shift. All of it is whole numbers: the C beside it
gives the same ones.

FFT of real input by a complex one of half the length: Sorensen et al. 1987, "Real-valued fast Fourier transform
algorithms"; halving at each stage: Oppenheim & Weinstein 1972, section V.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ...types import Array, Shape
from .._log2 import PER_OCTAVE
from ..base import FrontEnd, Program, Table, Window
from . import reference

MAX_FFT = 2048
CHUNK = 512  # frames at a time, so that numpy's arrays stay in the cache


@dataclass(frozen=True)
class LogMel(FrontEnd):
    """(samples,) int16 to (frames, mels or coefficients, 1) int16: log2 of energy, 256 a factor of 2.

    `coefficients` 0 gives the mel bands themselves, more give so many MFCCs. What is `range_db` below a full-scale sine
    counts as silence.
    """

    rate_hz: int
    frames: int
    frame_samples: int
    hop_samples: int
    mels: int
    low_hz: int = 60
    high_hz: int = 0  # 0: half the rate
    coefficients: int = 0
    range_db: int = 80

    name: ClassVar[str] = "log_mel"

    def __post_init__(self) -> None:
        for field in ("rate_hz", "frames", "frame_samples", "hop_samples", "mels", "low_hz", "range_db"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} is {getattr(self, field)}; it must be at least 1")
        if self.fft_samples > MAX_FFT:
            raise ValueError(f"a frame of {self.frame_samples} samples needs an FFT of {self.fft_samples}; at most "
                             f"{MAX_FFT} are allowed")
        if not self.low_hz < self.top_hz <= self.rate_hz // 2:
            raise ValueError(f"bands from {self.low_hz} to {self.top_hz} Hz at {self.rate_hz} Hz; they must lie "
                             f"below {self.rate_hz // 2} Hz, the lower end first")
        if not 0 <= self.coefficients <= self.mels:
            raise ValueError(f"{self.coefficients} coefficients of {self.mels} bands; 0 to {self.mels} are allowed")
        if (self.bands[0][:, 1] == 0).any():
            raise ValueError(f"{self.mels} bands are too many for an FFT of {self.fft_samples} at {self.rate_hz} Hz: "
                             f"some hold no frequency; take fewer bands or longer frames")

    @classmethod
    def fit(cls, window: Window, resolution: int | None, *, mels: int = 20,  # type: ignore[override]
            coefficients: int = 0, frame_ms: int = 32, hop_ms: int = 16, low_hz: int = 60, high_hz: int = 0,
            range_db: int = 80) -> LogMel:
        """As many frames as the net has rows, evenly spread; one every `hop_ms` where it does not say."""
        samples, rate = window.shape[0], window.rate_hz
        if rate is None or window.shape[1:] != (1, 1):
            raise ValueError(f"a window of {window.shape} at {rate} Hz; one channel of a known rate is needed")
        frame = round(frame_ms * rate / 1000)
        frames = resolution or max(1, round((samples - frame) / (hop_ms * rate / 1000)) + 1)
        hop = max(1, (samples - frame) // max(1, frames - 1))
        return cls(rate, frames, frame, hop, mels, low_hz, high_hz, coefficients, range_db)

    @property
    def samples(self) -> int:
        return self.frame_samples + (self.frames - 1) * self.hop_samples

    @property
    def output_shape(self) -> Shape:
        return self.frames, self.coefficients or self.mels, 1

    @property
    def fft_samples(self) -> int:
        return max(8, int(1 << (self.frame_samples - 1).bit_length()))

    @property
    def top_hz(self) -> int:
        return self.high_hz or self.rate_hz // 2

    @property
    def floor(self) -> int:
        """The value of silence."""
        return round(reference.FULL_SCALE - self.range_db / 10 * math.log2(10) * PER_OCTAVE)

    @cached_property
    def window(self) -> Array:
        """(frame_samples,) int16, 1.0 = 2^15: a periodic Hann window."""
        n = np.arange(self.frame_samples)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / self.frame_samples)
        return np.asarray(np.minimum(np.rint(hann * 32768), 32767), np.int16)

    @cached_property
    def twiddles(self) -> Array:
        """(fft_samples / 2, 2) int16: cosine and minus sine of 2 pi k / fft_samples, 1.0 = 32767."""
        angle = 2 * np.pi * np.arange(self.fft_samples // 2) / self.fft_samples
        return np.asarray(np.rint(32767 * np.stack([np.cos(angle), -np.sin(angle)], axis=1)), np.int16)

    @cached_property
    def bands(self) -> tuple[Array, Array]:
        """((mels, 2) first bin and number of bins, (weights,) uint16 with 1.0 = 4096): triangles, one after another."""
        edges = _hertz(np.linspace(_mel(self.low_hz), _mel(self.top_hz), self.mels + 2))
        hertz = np.arange(self.fft_samples // 2) * self.rate_hz / self.fft_samples
        ranges, weights = [], []
        for low, center, high in zip(edges, edges[1:], edges[2:], strict=False):
            triangle = np.minimum((hertz - low) / (center - low), (high - hertz) / (high - center))
            whole = np.rint(np.maximum(triangle, 0) * 4096).astype(np.uint16)
            whole[0] = 0  # never the constant part
            used = np.flatnonzero(whole)
            first, count = (int(used[0]), int(used[-1] - used[0] + 1)) if len(used) else (0, 0)
            ranges.append((first, count))
            weights.append(whole[first : first + count])
        return np.array(ranges, np.uint16), np.concatenate(weights)

    @cached_property
    def cosines(self) -> Array:
        """(coefficients, mels) int16, 1.0 = 2^11: the orthonormal DCT-II."""
        m, j = np.arange(self.mels), np.arange(self.coefficients)[:, None]
        basis = np.cos(np.pi * j * (2 * m + 1) / (2 * self.mels)) * np.sqrt(2 / self.mels)
        basis[:1] *= np.sqrt(0.5)
        return np.asarray(np.rint(basis * 2048), np.int16)

    def compute(self, samples: Array) -> Array:
        self._check(samples)
        starts = np.arange(self.frames)[:, None] * self.hop_samples
        frames = samples[:, starts + np.arange(self.frame_samples)].reshape(-1, self.frame_samples)
        parts = (frames[i : i + CHUNK] for i in range(0, len(frames), CHUNK))
        values = np.concatenate([
            reference.log_mel(part, self.window, self.twiddles, *self.bands, self.floor) for part in parts])
        if self.coefficients:
            values = reference.cosine_transform(values, self.cosines, self.floor)
        return values.reshape(-1, *self.output_shape)

    def program(self) -> Program:
        ranges, weights = self.bands
        fields = {"frame": self.frame_samples, "half": self.fft_samples // 2, "mels": self.mels,
                  "coefficients": self.coefficients, "floor": self.floor}
        tables = [
            Table("window", "int16_t", self.window), Table("twiddles", "int16_t", self.twiddles.ravel()),
            Table("bands", "ratti_band", ranges), Table("weights", "uint16_t", weights),
            Table("cosines", "int16_t", self.cosines.ravel() if self.coefficients else np.zeros(1, np.int16)),
        ]
        scratch = 2 * self.fft_samples + 4 * (self.fft_samples // 2) + (2 * self.mels if self.coefficients else 0)
        return Program("log_mel/log_mel.h", "ratti_log_mel", self.frames, self.hop_samples, self.frame_samples,
                       self.output_shape[1], scratch, ("ratti_log_mel_sizes", fields), tuple(tables))


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: Array) -> Array:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


FRONT_END = LogMel
EXAMPLES = (
    LogMel(8000, 4, 256, 128, 20),
    LogMel(16000, 3, 480, 320, 40, 20, 4000, coefficients=10),
    LogMel(8000, 5, 37, 11, 3, 300, range_db=50, coefficients=3),
)
