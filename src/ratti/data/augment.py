"""Augmentation of training batches in numpy: of pictures, of what a sensor gave, and of spectrograms.

Validation and test never pass through here. What a sensor gave is changed before its front end, which then computes the
features anew: the net sees what the firmware would make of a later, louder or noisier recording.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..types import Array
from .dataset import Dataset, Kind, Part


class Flip(enum.Enum):
    """Which mirror images keep the class."""

    NONE = "none"  # digits, letters, signs
    HORIZONTAL = "horizontal"  # photos of things that stand upright
    ALL = "all"  # seen from above: mirrored both ways and turned by 90 degrees (square images)


@dataclass(frozen=True)
class Augment:
    """How far a training sample may be changed.

    Pictures: mirroring, shifts, `brightness` and `contrast` as shares of the full range. Signals: `time_shift` as a
    share of the window (its ends are repeated), `gain_db` up or down, `noise` as a share of the sample's own deviation
    (Um et al. 2017: shift, scaling, jitter), `speed` faster or slower by a share, which also moves a voice's pitch (Ko
    et al. 2015). Features in rows and columns: one mask of at most `mask_rows` rows and one
    of at most `mask_columns` columns, filled with the sample's mean (SpecAugment, Park et al. 2019, without warping).
    """

    flip: Flip = Flip.NONE
    shift_px: int = 0
    brightness: float = 0.0
    contrast: float = 0.0
    time_shift: float = 0.0
    gain_db: float = 0.0
    noise: float = 0.0
    speed: float = 0.0
    mask_rows: int = 0
    mask_columns: int = 0

    def __post_init__(self) -> None:
        if self.shift_px < 0:
            raise ValueError(f"shift_px must be 0 or more, not {self.shift_px}")
        if not 0 <= self.brightness < 1 or not 0 <= self.contrast < 1:
            raise ValueError("brightness and contrast must be at least 0 and below 1")
        for name in ("time_shift", "speed"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, not {getattr(self, name)}")
        for name in ("gain_db", "noise", "mask_rows", "mask_columns"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")

    @classmethod
    def light(cls, dataset: Dataset) -> Augment:
        """What is safe for this data set: nothing for signals, no mirroring unless its source allows it."""
        if dataset.kind is Kind.SIGNAL:
            return cls()
        height, width, channels = dataset.input_shape
        photo = channels == 3
        if dataset.train.points is not None:  # objects stay where they are
            return cls(brightness=0.1, contrast=0.1)
        return cls(
            flip=Flip.HORIZONTAL if dataset.flip_safe else Flip.NONE,
            shift_px=max(1, round(min(height, width) / 12)),
            brightness=0.1 if photo else 0.0,
            contrast=0.1 if photo else 0.0,
        )

    def part(self, dataset: Dataset, part: Part, rng: np.random.Generator) -> Part:
        """A changed copy of some training samples of `dataset`."""
        if part.points is not None and (self.flip is not Flip.NONE or self.shift_px):
            raise InputError(f"{dataset.name} says where objects are: flip and shift_px would move them, "
                             f"leave both out")
        if dataset.kind is Kind.IMAGE:
            return replace(part, x=self(part.x, rng))
        x, samples, front_end = part.x, dataset.samples(part), dataset.front_end
        if front_end is not None and samples is not None and self._moves_samples:
            channels = front_end.side_by_side
            changed = self._sensor(samples.reshape(len(samples), -1, channels), rng).reshape(len(samples), -1)
            x = front_end.compute(changed)
        return replace(part, x=self._mask(x, rng))

    def copies(self, dataset: Dataset, count: int, seed: int = 0) -> Dataset:
        """The data set with `count` changed versions of its train part beside the original, one after the other.

        What a sensor gave goes through its front end once for each, not in every epoch: train fewer epochs, with an
        `Augment` that changes features alone.
        """
        train, rng = dataset.train, np.random.default_rng(seed)
        parts = [train, *(self.part(dataset, train, rng) for _ in range(count))]
        numbers = None if train.numbers is None else np.concatenate([train.numbers] * len(parts))
        whole = Part(np.concatenate([p.x for p in parts]), np.tile(train.y, len(parts)),
                     np.tile(train.groups, len(parts)), numbers)
        return replace(dataset, train=whole)

    @property
    def _moves_samples(self) -> bool:
        return bool(self.time_shift or self.gain_db or self.noise or self.speed)

    def _sensor(self, samples: Array, rng: np.random.Generator) -> Array:
        """(N, time, channels) int16, faster or slower, shifted, scaled and with noise."""
        n, length, _ = samples.shape
        if self.speed:
            samples = self._paced(samples, rng)
        reach = int(self.time_shift * length)
        if reach:
            at = np.clip(np.arange(length) + rng.integers(-reach, reach + 1, (n, 1)), 0, length - 1)
            samples = np.take_along_axis(samples, at[..., None], axis=1)
        real = samples.astype(np.float32)
        if self.noise:
            strength = rng.uniform(0, self.noise, (n, 1, 1)) * real.std(axis=(1, 2), keepdims=True)
            real += (strength * rng.standard_normal(real.shape, dtype=np.float32)).astype(np.float32)
        if self.gain_db:
            real *= 10 ** (rng.uniform(-self.gain_db, self.gain_db, (n, 1, 1)).astype(np.float32) / 20)
        return np.asarray(np.clip(real.round(), -32768, 32767), np.int16)

    def _paced(self, samples: Array, rng: np.random.Generator) -> Array:
        """Each sample at a pace of its own around its middle, linear between neighbors; its ends are repeated."""
        n, length, _ = samples.shape
        pace = rng.uniform(1 - self.speed, 1 + self.speed, (n, 1))
        middle = (length - 1) / 2
        at = np.clip(middle + (np.arange(length) - middle) * pace, 0, length - 1)
        below = np.minimum(at.astype(np.int64), length - 2)
        share = (at - below)[..., None]
        first, second = (np.take_along_axis(samples, k[..., None], axis=1) for k in (below, below + 1))
        return np.asarray((first * (1 - share) + second * share).round(), samples.dtype)

    def _mask(self, x: Array, rng: np.random.Generator) -> Array:
        """(N, H, W, C) with some rows and some columns of each sample replaced by its mean."""
        for axis, most in ((1, self.mask_rows), (2, self.mask_columns)):
            size = x.shape[axis]
            width = rng.integers(0, min(most, size) + 1, len(x)) if most else np.zeros(len(x), np.int64)
            start = rng.integers(0, size - width + 1) if most else width
            at = np.arange(size)
            hidden = (at >= start[:, None]) & (at < (start + width)[:, None])
            hidden = hidden[:, :, None, None] if axis == 1 else hidden[:, None, :, None]
            if most:
                x = np.where(hidden, x.mean(axis=(1, 2, 3), keepdims=True).round().astype(x.dtype), x)
        return x

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A changed copy of the batch x (N, H, W, C) uint8."""
        return self._shade(self._move(self._mirror(x, rng), rng), rng)

    def _mirror(self, x: Array, rng: np.random.Generator) -> Array:
        n = len(x)
        if self.flip is not Flip.NONE:
            x = np.where(rng.random(n)[:, None, None, None] < 0.5, x[:, :, ::-1], x)
        if self.flip is Flip.ALL:
            x = np.where(rng.random(n)[:, None, None, None] < 0.5, x[:, ::-1], x)
            if x.shape[1] == x.shape[2]:
                x = np.where(rng.random(n)[:, None, None, None] < 0.5, x.swapaxes(1, 2), x)
        return x

    def _move(self, x: Array, rng: np.random.Generator) -> Array:
        s = self.shift_px
        if not s:
            return x
        n, height, width, _ = x.shape
        rows = np.clip(np.arange(height) + rng.integers(-s, s + 1, (n, 1)), 0, height - 1)  # the border is repeated
        columns = np.clip(np.arange(width) + rng.integers(-s, s + 1, (n, 1)), 0, width - 1)
        return np.asarray(x[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]])

    def _shade(self, x: Array, rng: np.random.Generator) -> Array:
        if not self.brightness and not self.contrast:
            return x
        n = len(x)
        gain = 1 + rng.uniform(-self.contrast, self.contrast, (n, 1, 1, 1)).astype(np.float32)
        offset = 255 * rng.uniform(-self.brightness, self.brightness, (n, 1, 1, 1)).astype(np.float32)
        shaded = (x.astype(np.float32) - 128) * gain + 128 + offset
        return np.asarray(np.clip(shaded, 0, 255).round(), np.uint8)
