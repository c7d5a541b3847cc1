"""From what a sensor gave to what a net takes: whole numbers, cut to the front end's length, and its features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..features import FrontEnd, Window, front_ends, make
from ..types import Array, DType
from . import cache
from .options import Options

AS_THEY_ARE = {"name": "signal"}
MOST = 32767


def chosen(options: Options, window: Window, default: Mapping[str, Any] = AS_THEY_ARE) -> FrontEnd:
    """The front end that `options` ask for, or `default`; InputError where it does not go with the window or the net.
    """
    given = options.front_end or default
    rows = options.size[0] if options.size else options.resolution
    front_end = given if isinstance(given, FrontEnd) else make(given, window, rows)
    if front_end.sample_type is not DType.INT16:
        raise InputError(f"front end {front_end.name} takes {front_end.sample_type.value} samples of a camera, these "
                         f"are signals; known: {', '.join(front_ends())}")
    if front_end.samples > math.prod(window.shape):
        raise InputError(f"front end {front_end.name} takes {front_end.samples} samples, a window has {window.shape}")
    shape = front_end.output_shape
    if options.size not in (None, shape[:2]) or options.channels not in (None, shape[2]):
        want = (*(options.size or shape[:2]), options.channels or shape[2])
        raise InputError(f"front end {front_end.name} makes {shape} of a window of {window.shape}, the net takes "
                         f"{want}: signals cannot be resized; change the front end's settings, or take a net of that "
                         f"input shape")
    return front_end


def features(front_end: FrontEnd, samples: Array) -> tuple[Array, Array | None]:
    """(the features (N, H, W, C) of (N, samples), of longer ones of their middle; the samples, or None where they are
    the features).
    """
    start = (samples.shape[1] - front_end.samples) // 2
    cut = np.ascontiguousarray(samples[:, start : start + front_end.samples])
    x = cache.compute(front_end, cut)
    return x, None if front_end.name == AS_THEY_ARE["name"] else cut


def whole(parts: Sequence[Array], fitted: int) -> tuple[list[Array], int]:
    """(`parts` as int16, the power of two that 1.0 has become in them): 0 for whole numbers that int16 holds, else the
    one that lets the largest of the first `fitted` parts just fit. What is larger in the others is clipped.
    """
    known = parts[:fitted]
    largest = max(float(np.abs(p.astype(np.float64)).max()) for p in known)
    exact = all(p.dtype.kind in "iu" or bool((p == np.rint(p)).all()) for p in known)
    unit = 0
    if not (exact and largest <= MOST) and largest > 0:
        unit = int(np.floor(np.log2(MOST / largest)))
    scaled = (np.rint(p.astype(np.float64) * 2.0**unit) for p in parts)
    return [np.clip(s, -32768, MOST).astype(np.int16) for s in scaled], unit
