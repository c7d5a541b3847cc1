"""Weights and biases of linear ops, from ONNX's constants to the graph's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import UnsupportedError
from ...fixed_point import INT32_MAX
from ...types import Array, Quant
from .constants import Constant, int8_codes, real, shift_of
from .importer import Importer, label
from .program import Node

BIAS_TOLERANCE = 1e-5  # of a bias's scale, relative to input scale * weight scale


def weights(
    importer: Importer, node: Node, held: Constant, axes: Sequence[int], output: int, x: str
) -> tuple[str, Array]:
    """The name of a new value: `held` with its dimensions transposed to `axes`; and its scales (1 in float models).

    `output` is ONNX's dimension of the outputs; `x` is the value that the weights multiply.
    """
    name = f"{label(node)}_weight"
    if not importer.is_quantized(x):
        return importer.builder.constant(name, np.ascontiguousarray(real(node, held).transpose(axes))), np.ones(1)
    if held.scale is None or held.data.dtype not in (np.int8, np.uint8):
        raise UnsupportedError(
            f"{node.place}: weights of type {held.data.dtype} in a quantized model; they must be int8 or uint8, behind "
            f"a DequantizeLinear"
        )
    middle = shift_of(held.data)
    if held.zero_point is not None and (held.zero_point.astype(np.int16) != middle).any():
        raise UnsupportedError(f"{node.place}: weights must be symmetric (zero point {middle} for {held.data.dtype})")
    if held.scale.size == 1:
        quant = Quant.per_tensor(float(held.scale.ravel()[0]), 0)
    elif held.axis % held.data.ndim == output:
        quant = Quant.per_channel(held.scale, list(axes).index(output))
    else:
        raise UnsupportedError(
            f"{node.place}: scales along axis {held.axis} of the weights; they must run along their outputs, "
            f"axis {output}"
        )
    codes = np.ascontiguousarray(int8_codes(held.data).transpose(axes))
    return importer.builder.constant(name, codes, quant), np.asarray(quant.scale)


def bias(importer: Importer, node: Node, k: int, scales: Array, outputs: int, x: str) -> list[str]:
    """Operand `k` as a bias on the grid of input scale * weight scale; nothing where it is left out."""
    if not importer.has(node, k):
        return []
    held = importer.constant(node, k, "bias")
    name = f"{label(node)}_bias"
    if held.data.size not in (1, outputs):
        raise UnsupportedError(f"{node.place}: {held.data.size} biases for {outputs} outputs")
    if not importer.is_quantized(x):
        spread = np.broadcast_to(real(node, held).reshape(-1), outputs)
        return [importer.builder.constant(name, np.ascontiguousarray(spread))]
    grid = np.broadcast_to(np.float32(importer.builder.type(x).scale) * scales.astype(np.float32), outputs)
    own = held.scale if held.scale is not None else grid if held.data.dtype.kind == "i" else None
    centered = held.zero_point is None or not held.zero_point.any()
    if own is not None and centered and np.allclose(own, grid, BIAS_TOLERANCE, 0):
        codes = held.data.reshape(-1).astype(np.float64)
    else:
        codes = np.rint(real(node, held).reshape(-1).astype(np.float64) / grid)
    if not np.abs(codes).max(initial=0) <= INT32_MAX:
        raise UnsupportedError(f"{node.place}: a bias beyond 32 bits in steps of input scale * weight scale")
    spread = np.broadcast_to(codes, outputs).astype(np.int32)
    return [importer.builder.constant(name, spread, Quant.per_channel(grid, 0))]
