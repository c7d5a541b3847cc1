"""Inputs for comparing engines: extremes, random codes, and real samples where there are some."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import FormatError, InputError, UnsupportedError
from .features import Codes, FrontEnd, from_json
from .graph.ir import Graph
from .types import Array, DType, TensorType

EXTREMES = 4
FRONT_END = "front_end"  # the key of a graph's metadata under which its front end is written down


def make_inputs(graph: Graph, count: int, real: Sequence[Array] = (), seed: int = 0) -> list[list[Array]]:
    """`count` inferences: all real samples, then extremes, then random codes; each a list of one array per input.

    `real` holds one array (samples, *shape[1:]) per input of the graph.
    """
    if count < 1:
        raise InputError(f"the number of inputs must be at least 1, not {count}")
    rng = np.random.default_rng(seed)
    types = [int8_input(graph, name) for name in graph.inputs]
    rows: list[list[Array]] = []
    for k in range(real_count(count, real)):
        rows.append([x[k : k + 1].reshape(t.shape) for x, t in zip(real, types, strict=True)])
    for kind in range(EXTREMES):
        rows.append([_extreme(t.shape, t.dtype.limits, t.zero_point, kind).astype(t.dtype.numpy) for t in types])
    while len(rows) < count:
        spread = rng.uniform(8, 128)  # narrow and wide around the zero point: uniform codes alone saturate many nets
        wide = len(rows) % 2 == 0
        row = []
        for t in types:
            low, high = t.dtype.limits
            codes = rng.integers(low, high + 1, t.shape) if wide else np.rint(rng.normal(t.zero_point, spread, t.shape))
            row.append(np.clip(codes, low, high).astype(t.dtype.numpy))
        rows.append(row)
    return rows[:count]


def real_count(count: int, real: Sequence[Array]) -> int:
    """How many of `count` inferences are real samples: they leave room for the extremes and one of random codes."""
    return min(len(real[0]), max(count - EXTREMES - 1, 1)) if real else 0


def front_end_of(graph: Graph) -> tuple[FrontEnd, Codes] | None:
    """The front end that stands before the first input of `graph`, where its metadata name one; FormatError where what
    they say is damaged or makes other codes than the input takes. None stands before an int16 input: codes are int8.
    """
    text, wanted = graph.metadata.get(FRONT_END), graph.type(graph.inputs[0])
    if text is None or wanted.dtype is not DType.INT8:
        return None
    front_end, codes = from_json(text)
    if codes is None or (1, *front_end.output_shape) != wanted.shape:
        raise FormatError(f"front end {front_end.name} of model '{graph.name}' makes {front_end.output_shape}, the "
                          f"input takes {wanted.dtype.value}{list(wanted.shape)}")
    return front_end, codes


def make_samples(front_end: FrontEnd, count: int, real: Array | None = None, seed: int = 0) -> Array:
    """`count` inputs of a front end: all real ones, then silence, extremes, a click, noise from faint to full."""
    rng, n, dtype = np.random.default_rng(seed), front_end.samples, front_end.sample_type
    low, high = dtype.limits
    middle = (low + high + 1) // 2
    at = np.arange(n)
    rows = [np.full(n, middle), np.full(n, low), np.full(n, high), np.where(at % 2, low, high),
            np.where(at == n // 2, high, middle), middle + 0.9 * (high - middle) * np.sin(0.7 * at)]
    have = 0 if real is None else min(len(real), max(count - EXTREMES, 1))
    while len(rows) + have < count:
        rows.append(rng.normal(middle, (high - low) * 2.0 ** -rng.integers(2, 14), n))
    made = np.clip(np.rint(rows[: count - have]), low, high).astype(dtype.numpy).reshape(-1, n)
    return made if real is None else np.concatenate([real[:have].astype(dtype.numpy), made])


def int8_input(graph: Graph, name: str) -> TensorType:
    """The type of input `name`; UnsupportedError where the model is none of integers."""
    if not graph.is_quantized:
        raise UnsupportedError(f"model '{graph.name}' is a float model; only int8 models become firmware")
    type = graph.type(name)
    if type.quant is None:
        raise UnsupportedError(f"input '{name}' of model '{graph.name}' has no quantization")
    return type


def _extreme(shape: tuple[int, ...], limits: tuple[int, int], zero_point: int, kind: int) -> Array:
    if kind < 2:
        return np.full(shape, limits[kind])
    if kind == 2:
        return np.full(shape, zero_point)
    return np.where(np.arange(np.prod(shape)).reshape(shape) % 2 == 0, *limits)
