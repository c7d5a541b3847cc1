"""Exponentials and reciprocals in fixed point, as gemmlowp's public algorithms compute them."""

from __future__ import annotations

import math

import numpy as np

from ..fixed_point import INT32_MAX, INT32_MIN, doubling_high_mul, rounding_divide_by_pot
from ..types import Array

LEAST_BIT = -2  # exp(-x) is built from exp(-2**k) for the bits k of x from here on


def exp_on_negative(x: Array, integer_bits: int) -> Array:
    """exp(x) in Q0.31 for x <= 0 with `integer_bits` bits before the point.

    x = -(multiple of 1/4) + rest with rest in [-1/4, 0): a polynomial for the rest, one factor for each bit of the
    multiple.
    """
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (x & (quarter - 1)) - quarter
    result = _exp_near_zero(rest << integer_bits)
    multiple = rest - x
    for bit in range(LEAST_BIT, integer_bits):
        factor = round(math.exp(-(2.0**bit)) * (1 << 31))
        has_bit = multiple & (1 << (fraction_bits + bit)) != 0
        result = np.where(has_bit, doubling_high_mul(result, factor), result)
    return np.where(x == 0, INT32_MAX, result)


def _exp_near_zero(a: Array) -> Array:
    """exp(a) in Q0.31 for a in [-1/4, 0): Taylor to the fourth power around -1/8."""
    constant = round(math.exp(-1 / 8) * (1 << 31))
    x = a + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3 = doubling_high_mul(x2, x)
    x4 = doubling_high_mul(x2, x2)
    third = round((1 << 31) / 3)
    tail = rounding_divide_by_pot(doubling_high_mul(rounding_divide_by_pot(x4, 2) + x3, third) + x2, 1)
    return constant + doubling_high_mul(constant, x + tail)


def reciprocal_of_half(a: Array) -> Array:
    """2 / (1 + a) in Q2.29 for a in [0, 1) in Q0.31: three Newton-Raphson steps."""
    half = (a + INT32_MAX + 1) >> 1
    x = round(48 / 17 * (1 << 29)) + doubling_high_mul(half, round(-32 / 17 * (1 << 29)))
    for _ in range(3):
        error = (1 << 29) - doubling_high_mul(half, x)
        x = x + saturate(doubling_high_mul(x, error) << 2)
    return x


def reciprocal_of_one_plus(a: Array) -> Array:
    """1 / (1 + a) in Q0.31 for a in [0, 1) in Q0.31."""
    return saturate(reciprocal_of_half(a) << 1)


def logistic(x: Array, integer_bits: int) -> Array:
    """1 / (1 + exp(-x)) in Q0.31 for x with `integer_bits` bits before the point."""
    positive = reciprocal_of_one_plus(exp_on_negative(-np.abs(x), integer_bits))
    return np.where(x == 0, 1 << 30, np.where(x > 0, positive, INT32_MAX - positive))


def tanh(x: Array, integer_bits: int) -> Array:
    """tanh(x) in Q0.31 for x with `integer_bits` bits before the point: (1 - e) / (1 + e) with e = exp(-2 * |x|)."""
    e = exp_on_negative(-np.abs(x), integer_bits + 1)  # the same bits, read as twice the value
    positive = saturate((reciprocal_of_half(e) - (1 << 29)) << 2)
    return np.where(x == 0, 0, np.where(x > 0, positive, -positive))


def saturate(x: Array) -> Array:
    clipped: Array = np.clip(x, INT32_MIN, INT32_MAX)
    return clipped
