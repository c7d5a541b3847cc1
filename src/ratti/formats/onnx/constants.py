"""Numbers that are known when a model is read, and the codes that stand for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import UnsupportedError
from ...types import Array
from .program import Node


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers; codes of a quantized tensor where there are scales, along `axis` where those are many."""

    data: Array
    scale: Array | None = None
    zero_point: Array | None = None
    axis: int = 0


def real(node: Node, held: Constant) -> Array:
    """The real numbers of a constant, float32."""
    if held.scale is None:
        if held.data.dtype != np.float32:
            raise UnsupportedError(f"{node.place}: a constant of type {held.data.dtype}; it must be float32")
        return held.data
    along = [1] * held.data.ndim
    if held.scale.size > 1:
        along[held.axis] = -1
    codes = held.data.astype(np.float64)
    if held.zero_point is not None:
        codes = codes - held.zero_point.astype(np.float64).reshape(along if held.zero_point.size > 1 else ())
    return (codes * held.scale.reshape(along if held.scale.size > 1 else ())).astype(np.float32)


def shift_of(codes: Array) -> int:
    """What uint8 codes are above int8 ones."""
    return 128 if codes.dtype == np.uint8 else 0


def int8_codes(codes: Array) -> Array:
    """int8 or uint8 codes as int8 ones."""
    return (codes.astype(np.int16) - shift_of(codes)).astype(np.int8)
