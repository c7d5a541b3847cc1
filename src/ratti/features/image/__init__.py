"""Pictures from a camera's frame: cut to the net's shape from the middle, made smaller by averaging areas.

A pixel of the result is the mean of the frame's pixels that it covers, at least in part (as adaptive average pooling
has it): nothing is skipped, so nothing flickers. Gray is ITU-R BT.601's luma in eighths of bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ...types import Array, DType, Shape
from ..base import FrontEnd, Program, Table, Window

FORMATS = {"gray": 1, "rgb": 3, "rgb565": 2, "rgb565_swapped": 2}  # bytes of a pixel
MOST_AREA = 1 << 14  # pixels that one pixel of the result covers: sums times reciprocals stay in 32 bits
LUMA = (77, 150, 29)  # of 256


@dataclass(frozen=True)
class Image(FrontEnd):
    """(height * width * bytes of a pixel,) uint8 to (rows, columns, channels) int16, 0 to 255.

    `format` says what a pixel is: gray, rgb (8 bits each), rgb565 (two bytes, the high one first, as cameras send it)
    or rgb565_swapped (the low one first, as it lies in memory as a 16-bit number). A colored frame with 1 channel gives
    gray.
    """

    height: int
    width: int
    format: str
    rows: int
    columns: int
    channels: int

    name: ClassVar[str] = "image"
    sample_type: ClassVar[DType] = DType.UINT8

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ValueError(f"unknown format '{self.format}'; known: {', '.join(FORMATS)}")
        if min(self.height, self.width) < 1:
            raise ValueError(f"a frame of {self.height}x{self.width}; give the camera's height and width")
        if not 1 <= self.rows <= self.height or not 1 <= self.columns <= self.width:
            raise ValueError(f"{self.rows}x{self.columns} from a frame of {self.height}x{self.width}: frames are made "
                             f"smaller, never larger")
        if self.channels not in (1, 3) or (self.channels == 3 and self.format == "gray"):
            raise ValueError(f"{self.channels} channels of a frame in {self.format}; 1 (gray) or, of colors, 3")
        if max(self._rows[:, 1]) * max(self._columns[:, 1]) > MOST_AREA:
            raise ValueError(f"{self.rows}x{self.columns} from {self.height}x{self.width}: more than {MOST_AREA} "
                             f"pixels to one")

    @classmethod
    def fit(cls, window: Window, resolution: int | None, *, height: int = 0, width: int = 0,  # type: ignore[override]
            format: str = "rgb565", rows: int = 0, columns: int = 0, channels: int = 0) -> Image:
        """Squares of the net's resolution, unless `rows` and `columns` say otherwise; all colors that there are."""
        height, width = height or window.shape[0], width or window.shape[1]
        rows = rows or resolution or min(height, width)
        return cls(height, width, format, rows, columns or rows, channels or (1 if format == "gray" else 3))

    @property
    def samples(self) -> int:
        return self.height * self.width * FORMATS[self.format]

    @property
    def output_shape(self) -> Shape:
        return self.rows, self.columns, self.channels

    @cached_property
    def _cut(self) -> tuple[int, int]:
        """(height, width) of the part that has the result's aspect ratio."""
        if self.height * self.columns > self.width * self.rows:
            return max(self.width * self.rows // self.columns, self.rows), self.width
        return self.height, max(self.height * self.columns // self.rows, self.columns)

    @cached_property
    def _rows(self) -> Array:
        return _spans(self.height, self._cut[0], self.rows)

    @cached_property
    def _columns(self) -> Array:
        return _spans(self.width, self._cut[1], self.columns)

    @cached_property
    def _reciprocals(self) -> tuple[Array, int, int]:
        """(2^24 / (row count * column count), the least of each count)."""
        low_y, low_x = int(self._rows[:, 1].min()), int(self._columns[:, 1].min())
        y = np.arange(low_y, int(self._rows[:, 1].max()) + 1, dtype=np.uint32)
        x = np.arange(low_x, int(self._columns[:, 1].max()) + 1, dtype=np.uint32)
        return np.uint32(1 << 24) // np.outer(y, x), low_y, low_x

    def compute(self, samples: Array) -> Array:
        self._check(samples)
        pixels = decode(samples.reshape(len(samples), self.height, self.width, -1), self.format)
        sums = np.zeros((len(samples), self.height + 1, self.width + 1, pixels.shape[3]), np.uint32)
        sums[:, 1:, 1:] = pixels.cumsum(axis=1, dtype=np.uint32).cumsum(axis=2, dtype=np.uint32)
        top, left = self._rows[:, 0, None].astype(int), self._columns[None, :, 0].astype(int)
        down, right = top + self._rows[:, 1, None], left + self._columns[None, :, 1]
        area = sums[:, down, right] - sums[:, top, right] - sums[:, down, left] + sums[:, top, left]
        table, low_y, low_x = self._reciprocals
        share = table[self._rows[:, 1, None] - low_y, self._columns[None, :, 1] - low_x]
        values = (area * share[..., None] + np.uint32(1 << 23)) >> np.uint32(24)
        if self.channels == 1 and values.shape[3] == 3:
            values = (values @ np.array(LUMA, np.uint32) + np.uint32(128))[..., None] >> np.uint32(8)
        return np.asarray(values, np.int16)

    def encode(self, pixels: Array) -> Array:
        """Frames as the camera would send them: uint8 (N, height, width, 1 or 3) to (N, samples)."""
        if self.format.startswith("rgb565"):
            wide = pixels.astype(np.uint16)
            words = (wide[..., 0] >> 3) << 11 | (wide[..., 1] >> 2) << 5 | wide[..., 2] >> 3
            order = ">u2" if self.format == "rgb565" else "<u2"
            pixels = words.astype(order)[..., None].view(np.uint8)
        return np.ascontiguousarray(pixels).reshape(len(pixels), -1)

    def program(self) -> Program:
        reciprocals, low_y, low_x = self._reciprocals
        fields = {"width": self.width, "format": list(FORMATS).index(self.format), "columns": self.columns,
                  "channels": self.channels, "low_y": low_y, "low_x": low_x, "counts_x": reciprocals.shape[1]}
        tables = (Table("rows", "ratti_span", self._rows), Table("columns", "ratti_span", self._columns),
                  Table("reciprocals", "uint32_t", reciprocals.ravel()))
        return Program("image/image.h", "ratti_image", self.rows, 0, self.samples, self.columns * self.channels, 0,
                       ("ratti_image_sizes", fields), tables)


def decode(frames: Array, format: str) -> Array:
    """uint8 (N, H, W, bytes of a pixel) to uint8 (N, H, W, 1 or 3)."""
    if not format.startswith("rgb565"):
        return frames
    high, low = (0, 1) if format == "rgb565" else (1, 0)
    word = frames[..., high].astype(np.uint32) << 8 | frames[..., low]
    red, green, blue = word >> 11, (word >> 5) & 63, word & 31
    return np.stack([red << 3 | red >> 2, green << 2 | green >> 4, blue << 3 | blue >> 2], axis=3).astype(np.uint8)


def _spans(size: int, cut: int, count: int) -> Array:
    """(count, 2) uint16: the first pixel of each span and how many it has; they cover the middle `cut` of `size`."""
    at = np.arange(count)
    first, end = at * cut // count, -(-(at + 1) * cut // count)
    return np.stack([first + (size - cut) // 2, end - first], axis=1).astype(np.uint16)


FRONT_END = Image
EXAMPLES = (
    Image(24, 32, "rgb565", 16, 16, 3),
    Image(30, 20, "rgb565_swapped", 7, 5, 1),
    Image(17, 23, "rgb", 8, 8, 3),
    Image(40, 31, "gray", 12, 12, 1),
)
