"""The one rounding rule: TFLite's requantization with double rounding.

An int32 accumulator is scaled by a real factor s = multiplier * 2**(shift - 31), where multiplier is in
[2**30, 2**31), in two rounded steps: a doubling high multiply (ties upward), then a division by a power of two
(ties away from zero). Every kernel, table and interpreter goes through the definitions below.

Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", section 2.2, and the public behavior of gemmlowp's fixed-point primitives.
"""

from __future__ import annotations

import math

import numpy as np

from .types import Array

INT32_MIN, INT32_MAX = -(1 << 31), (1 << 31) - 1


def round_half_away(x: float) -> int:
    """Nearest integer; halves away from zero, as C's round()."""
    return math.floor(x + 0.5) if x >= 0 else -math.floor(-x + 0.5)


def quantize_multiplier(real: float) -> tuple[int, int]:
    """(multiplier, shift) with real ≈ multiplier * 2**(shift - 31).

    `real` must not be negative. Factors below 2**-32 become (0, 0); factors of 2**30 and more saturate.
    """
    if real == 0.0:
        return 0, 0
    if not real > 0 or not math.isfinite(real):
        raise ValueError(f"a requantization factor must be finite and not negative, not {real}")
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return INT32_MAX, 30
    return multiplier, shift


def quantize_multipliers(reals: Array) -> tuple[Array, Array]:
    """`quantize_multiplier` over an array: int64 multipliers and shifts of the same shape."""
    pairs = np.array([quantize_multiplier(float(r)) for r in np.ravel(reals)], np.int64).reshape(-1, 2)
    shape = np.shape(reals)
    return pairs[:, 0].reshape(shape), pairs[:, 1].reshape(shape)


def doubling_high_mul(a: Array | int, b: Array | int) -> Array:
    """round(a * b / 2**31), ties upward, saturated for (-2**31, -2**31). int32 range in int64 arrays."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    product += 1 << 30
    product >>= 31
    result: Array = np.minimum(product, INT32_MAX)
    return result


def rounding_divide_by_pot(x: Array, exponent: Array | int) -> Array:
    """round(x / 2**exponent), ties away from zero."""
    x = np.asarray(x, np.int64)
    e = np.asarray(exponent, np.int64)
    half = np.where(e > 0, np.int64(1) << np.maximum(e - 1, 0), 0)
    result: Array = x + half
    result -= (x < 0) & (e > 0)
    result >>= e
    return result


def requantize(acc: Array, multiplier: Array | int, shift: Array | int) -> Array:
    """acc * multiplier * 2**(shift - 31) with double rounding; int64 in, int64 out, values of int32 range.

    The left shift wraps at 32 bits where it overflows, which no accumulator of a valid model does.
    """
    s = np.asarray(shift, np.int64)
    shifted = (np.asarray(acc, np.int64) << np.maximum(s, 0)).astype(np.int32)
    return rounding_divide_by_pot(doubling_high_mul(shifted, multiplier), np.maximum(-s, 0))


def requantize_wide(acc: Array, multiplier: Array | int, shift: Array | int) -> Array:
    """The scaling of 64-bit accumulators (|acc| < 2**47): a multiplier of 16 bits, one rounding, ties upward.

    What TFLite does for int16 activations. `shift` is below 15.
    """
    m = np.asarray(multiplier, np.int64)
    short = np.where(m < 0x7FFF0000, (m + (1 << 15)) >> 16, 0x7FFF)
    total = 15 - np.asarray(shift, np.int64)
    result: Array = (np.asarray(acc, np.int64) * short + (np.int64(1) << (total - 1))) >> total
    return result
