"""The nouns that every part shares: element types, quantization, tensor types, figures with their origin.

Shape legend, here and everywhere: N batch, H height, W width, C channels (I in, O out), K kernel size.
Activations are NHWC, convolution weights OHWI (depthwise 1HWO), fully connected weights OI.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

KIB = 1024


class DType(enum.Enum):
    """Element type of a tensor; the value is its name."""

    INT4 = "int4"  # weights alone; held in numpy as int8, two to a byte in files and firmware
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    FLOAT32 = "float32"

    @property
    def numpy(self) -> np.dtype[Any]:
        return np.dtype("int8" if self is DType.INT4 else self.value)

    @property
    def bytes(self) -> int:
        return self.numpy.itemsize

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest code of an integer type."""
        if self is DType.INT4:
            return -8, 7
        info = np.iinfo(self.numpy)
        return int(info.min), int(info.max)


@dataclass(frozen=True)
class Quant:
    """real = scale * (code - zero_point), per tensor, or per channel along `axis`.

    Scales are float32 values (TFLite's), held as Python floats.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...] = (0,)
    axis: int | None = None

    def __post_init__(self) -> None:
        if not self.scale or len(self.scale) != len(self.zero_point):
            raise ValueError(f"{len(self.scale)} scales and {len(self.zero_point)} zero points")
        if any(not math.isfinite(s) or s <= 0 for s in self.scale):
            raise ValueError("a quantization scale must be finite and above zero")
        if self.axis is None and len(self.scale) != 1:
            raise ValueError(f"{len(self.scale)} scales but no axis")

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int) -> Quant:
        return cls((float(np.float32(scale)),), (int(zero_point),))

    @classmethod
    def per_channel(cls, scales: Array, axis: int) -> Quant:
        values = tuple(float(s) for s in np.asarray(scales, np.float32))
        return cls(values, (0,) * len(values), axis)

    @property
    def scalar(self) -> tuple[float, int]:
        """The scale and the zero point of a per-tensor quantization."""
        if len(self.scale) != 1:
            raise ValueError("this tensor is quantized per channel")
        return self.scale[0], self.zero_point[0]

    def quantize(self, real: Array, dtype: DType) -> Array:
        """Codes of `real`, rounded half away from zero as TFLite does, saturated."""
        scale, zero_point = self.scalar
        scaled = np.asarray(real, np.float64) / scale
        codes = np.trunc(scaled + np.copysign(0.5, scaled)) + zero_point
        saturated: Array = np.clip(codes, *dtype.limits)
        return saturated.astype(dtype.numpy)

    def dequantize(self, codes: Array) -> Array:
        scale, zero_point = self.scalar
        real: Array = (codes.astype(np.float64) - zero_point) * scale
        floats: Array = real.astype(np.float32)
        return floats


@dataclass(frozen=True)
class TensorType:
    """Shape, element type and (where there is one) quantization of a tensor."""

    shape: Shape
    dtype: DType
    quant: Quant | None = None

    def __post_init__(self) -> None:
        if any(d < 1 for d in self.shape):
            raise ValueError(f"shape {self.shape} has a dimension below 1")
        if self.quant is not None and self.quant.axis is not None:
            axis = self.quant.axis
            if not 0 <= axis < len(self.shape) or len(self.quant.scale) != self.shape[axis]:
                raise ValueError(f"{len(self.quant.scale)} scales along axis {axis} of shape {self.shape}")

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        return -(-self.elements // 2) if self.dtype is DType.INT4 else self.elements * self.dtype.bytes

    @property
    def is_quantized(self) -> bool:
        return self.dtype is not DType.FLOAT32 and self.quant is not None

    @property
    def scale(self) -> float:
        """The per-tensor scale."""
        return self._quant().scalar[0]

    @property
    def zero_point(self) -> int:
        """The per-tensor zero point."""
        return self._quant().scalar[1]

    def _quant(self) -> Quant:
        if self.quant is None:
            raise ValueError("this tensor has no quantization")
        return self.quant


def pack_nibbles(codes: Array) -> Array:
    """4-bit codes two to a byte, the first in the low half; the last half may be empty: uint8."""
    flat = np.append(codes.ravel(), np.zeros(codes.size % 2, codes.dtype)).astype(np.uint8) & 15
    packed: Array = flat[::2] | flat[1::2] << 4
    return packed


class How(enum.Enum):
    """Where a figure comes from (DESIGN: measured, and said how)."""

    MEASURED = "measured"  # on a real device
    EMULATED = "emulated"  # the shipped code, run on the device's instruction set
    PRICED = "priced"  # emulated instructions times a cited timing table
    ESTIMATED = "estimated"
    ABSENT = "absent"  # no source; the figure is None and a reason stands beside it


Metadata = Mapping[str, str]
