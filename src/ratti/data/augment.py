"""Light augmentation of image batches in numpy: mirroring, shifts, brightness and contrast."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from ..types import Array
from .dataset import Dataset, Kind


class Flip(enum.Enum):
    """Which mirror images keep the class."""

    NONE = "none"  # digits, letters, signs
    HORIZONTAL = "horizontal"  # photos of things that stand upright
    ALL = "all"  # seen from above: mirrored both ways and turned by 90 degrees (square images)


@dataclass(frozen=True)
class Augment:
    """How far a training image may be changed. `brightness` and `contrast` are shares of the full range."""

    flip: Flip = Flip.NONE
    shift_px: int = 0
    brightness: float = 0.0
    contrast: float = 0.0

    def __post_init__(self) -> None:
        if self.shift_px < 0:
            raise ValueError(f"shift_px must be 0 or more, not {self.shift_px}")
        if not 0 <= self.brightness < 1 or not 0 <= self.contrast < 1:
            raise ValueError("brightness and contrast must be at least 0 and below 1")

    @classmethod
    def light(cls, dataset: Dataset) -> Augment:
        """What is safe for this data set: nothing for signals, no mirroring unless its source allows it."""
        if dataset.kind is Kind.SIGNAL:
            return cls()
        height, width, channels = dataset.input_shape
        photo = channels == 3
        return cls(
            flip=Flip.HORIZONTAL if dataset.flip_safe else Flip.NONE,
            shift_px=max(1, round(min(height, width) / 12)),
            brightness=0.1 if photo else 0.0,
            contrast=0.1 if photo else 0.0,
        )

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
