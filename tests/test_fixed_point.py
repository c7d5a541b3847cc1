"""The rounding rule against exact rational arithmetic, and at its edges."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratti.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    doubling_high_mul,
    quantize_multiplier,
    quantize_multipliers,
    requantize,
    round_half_away,
    rounding_divide_by_pot,
)

INT32 = st.integers(INT32_MIN, INT32_MAX)


def nearest(x: Fraction, ties_up: bool) -> int:
    """The nearest integer; ties upward, or away from zero."""
    if x < 0 and not ties_up:
        return -nearest(-x, ties_up)
    return math.floor(x + Fraction(1, 2))


@given(st.floats(-1e6, 1e6))
def test_round_half_away(x: float) -> None:
    # floor(x + 0.5) in floating point, as C's round() has it, may not be used where x + 0.5 is inexact.
    if abs(x) + 0.5 == Fraction(abs(x)) + Fraction(1, 2):
        assert round_half_away(x) == nearest(Fraction(x), ties_up=False)


def test_ties() -> None:
    assert [round_half_away(v) for v in (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)] == [-3, -2, -1, 1, 2, 3]
    assert rounding_divide_by_pot(np.array([-5, -3, -1, 1, 3, 5]), 1).tolist() == [-3, -2, -1, 1, 2, 3]
    assert doubling_high_mul(np.array([-3, -1, 1, 3]), 1 << 30).tolist() == [-1, 0, 1, 2]


@given(INT32, st.integers(0, 31))
def test_division_rounds_ties_away_from_zero(x: int, exponent: int) -> None:
    assert rounding_divide_by_pot(np.array(x), exponent) == nearest(Fraction(x, 1 << exponent), ties_up=False)


@given(INT32, INT32)
def test_high_multiplication_rounds_ties_upward_and_saturates(a: int, b: int) -> None:
    want = min(nearest(Fraction(a * b, 1 << 31), ties_up=True), INT32_MAX)
    assert doubling_high_mul(np.array(a), b) == want


@given(st.floats(2.0**-31, 2.0**29))
def test_multipliers_are_close(real: float) -> None:
    multiplier, shift = quantize_multiplier(real)
    assert 1 << 30 <= multiplier <= INT32_MAX
    assert abs(multiplier * 2.0 ** (shift - 31) / real - 1) < 2.0**-30


def test_multipliers_at_the_ends() -> None:
    assert quantize_multiplier(0.0) == (0, 0)
    assert quantize_multiplier(1.0) == (1 << 30, 1)
    assert quantize_multiplier(np.nextafter(1.0, 0.0)) == (1 << 30, 1)  # the mantissa rounds up to the next power
    assert quantize_multiplier(2.0**-33) == (0, 0)
    assert quantize_multiplier(2.0**-32) == (1 << 30, -31)
    assert quantize_multiplier(2.0**40) == (INT32_MAX, 30)
    for bad in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="finite and not negative"):
            quantize_multiplier(bad)


def test_multipliers_of_arrays() -> None:
    reals = np.array([[0.5, 0.001, 3.0], [0.0, 1.0, 1e-5]])
    multipliers, shifts = quantize_multipliers(reals)
    assert multipliers.shape == shifts.shape == reals.shape and multipliers.dtype == np.int64
    for index in np.ndindex(reals.shape):
        assert (multipliers[index], shifts[index]) == quantize_multiplier(float(reals[index]))


@given(st.integers(-(2**30), 2**30 - 1), st.floats(2.0**-28, 0.99))
def test_requantization_is_within_one_of_the_exact_product(acc: int, real: float) -> None:
    got = requantize(np.array(acc), *quantize_multiplier(real))
    assert abs(got - Fraction(acc) * Fraction(real)) <= 1 + abs(acc) * 2.0**-31


@given(st.lists(st.integers(-(2**20), 2**20), min_size=1, max_size=20), st.floats(0.001, 900.0))
def test_requantization_is_monotonic_and_elementwise(values: list[int], real: float) -> None:
    acc = np.sort(np.array(values))
    result = requantize(acc, *quantize_multiplier(real))
    assert result.dtype == np.int64 and (np.diff(result) >= 0).all()
    assert result.tolist() == [int(requantize(np.array(a), *quantize_multiplier(real))) for a in acc]


def test_requantization_by_channel() -> None:
    acc = np.arange(-30, 30).reshape(5, 4, 3) * 1000
    multipliers, shifts = quantize_multipliers(np.array([0.5, 0.01, 2.5]))
    result = requantize(acc, multipliers, shifts)
    for c in range(3):
        want = requantize(acc[..., c], int(multipliers[c]), int(shifts[c]))
        np.testing.assert_array_equal(result[..., c], want)


def test_left_shifts_wrap_at_32_bits() -> None:
    multiplier, shift = quantize_multiplier(4.0)
    assert requantize(np.array([1 << 29]), multiplier, shift).tolist() == [0]
    assert requantize(np.array([3]), multiplier, shift).tolist() == [12]
