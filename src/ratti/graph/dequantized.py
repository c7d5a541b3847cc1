"""The float model that an int8 graph stands for: what it would cost without quantization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..types import Array, DType, Quant, TensorType
from .ir import Graph, Value


def dequantized(graph: Graph) -> Graph:
    """`graph` in float32: weights and biases are the real values of their codes, activations are not rounded.

    Ops, shapes and names stay, so time and memory are those of a float model of this architecture.
    """
    values = {name: _real(v) for name, v in graph.values.items()}
    return replace(graph, values=values)


def _real(value: Value) -> Value:
    type = value.type
    if type.quant is None:
        return value
    real = TensorType(type.shape, DType.FLOAT32)
    return Value(value.name, real, None if value.data is None else _weights(value.data, type.quant))


def _weights(codes: Array, quant: Quant) -> Array:
    shape = [1] * codes.ndim
    if quant.axis is not None:
        shape[quant.axis] = -1
    scale = np.asarray(quant.scale).reshape(shape if quant.axis is not None else ())
    zero = np.asarray(quant.zero_point).reshape(shape if quant.axis is not None else ())
    floats: Array = np.array((codes.astype(np.float64) - zero) * scale, np.float32)  # an array of a scalar, too
    return floats
