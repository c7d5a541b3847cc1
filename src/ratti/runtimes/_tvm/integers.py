"""The interpreter's arithmetic on TVM's expressions, to the last bit: int32 accumulators, TFLite's double rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import te, tirx

from ...fixed_point import INT32_MAX, INT32_MIN
from ...types import Array, Shape

Tensor = Any  # te.Tensor
Expr = Any  # an element


def i32(value: Any) -> Expr:
    return tirx.const(int(value), "int32") if isinstance(value, (int, np.integer)) else value.astype("int32")


def i64(value: Any) -> Expr:
    return tirx.const(int(value), "int64") if isinstance(value, (int, np.integer)) else value.astype("int64")


def high_mul(a: Expr, b: Any) -> Expr:
    """round(a * b / 2**31), ties upward: int32. (-2**31)**2 does not occur: multipliers are positive."""
    return ((i64(a) * i64(b) + i64(1 << 30)) >> i64(31)).astype("int32")


def divide_by_pot(x: Expr, exponent: Any) -> Expr:
    """round(x / 2**exponent), ties away from zero: int32."""
    e = i32(exponent)
    mask = (i32(1) << e) - i32(1)
    remainder = x & mask
    threshold = (mask >> i32(1)) + tirx.Select(x < i32(0), i32(1), i32(0))
    return (x >> e) + tirx.Select(remainder > threshold, i32(1), i32(0))


def requantize(acc: Expr, multiplier: Any, left: Any, right: Any) -> Expr:
    """acc * multiplier * 2**(left - right - 31) with double rounding."""
    return divide_by_pot(high_mul(i32(acc) << i32(left), multiplier), right)


def codes(value: Expr, zero_point: int, limits: tuple[int, int]) -> Expr:
    low, high = limits
    return tirx.max(tirx.min(value + i32(zero_point), i32(high)), i32(low)).astype("int8")


def shifts(shift: Array) -> tuple[Array, Array]:
    """Left and right parts of TFLite's shifts."""
    shift = np.atleast_1d(np.asarray(shift))
    return np.maximum(shift, 0).astype(np.int32), np.maximum(-shift, 0).astype(np.int32)


def saturated(value: Expr) -> Expr:
    """An int64 limited to int32."""
    return tirx.max(tirx.min(value, i64(INT32_MAX)), i64(INT32_MIN))


def by(value: Expr, scale: tuple[int, int]) -> Expr:
    """`value` requantized by one (multiplier, shift)."""
    multiplier, shift = scale
    return requantize(value, multiplier, max(shift, 0), max(-shift, 0))


def broadcast(at: Sequence[Expr], shape: Shape) -> tuple[Expr, ...]:
    """The element of an operand of `shape` that goes to the output's element `at`."""
    return tuple(0 if n == 1 else i for i, n in zip(at[len(at) - len(shape) :], shape, strict=True))


def flat_index(at: Sequence[Expr], shape: Shape) -> Expr:
    """The flat index of an element."""
    flat: Expr = 0
    for i, n in zip(at, shape, strict=True):
        flat = flat * n + i
    return flat


def at_flat(x: Tensor, shape: Shape, index: Expr) -> Expr:
    """The element of `x` at a flat index."""
    at: list[Expr] = []
    for n in reversed(shape):
        at.append(index % n)
        index = index // n
    return x[tuple(reversed(at))]


def padded(x: Tensor, padding: Sequence[int], zero_point: int, fill: int = 0) -> Tensor:
    """(N, H, W, C) codes less the zero point as int16, with `fill` around."""
    top, bottom, left, right = padding
    n, h, w, c = (int(v) for v in x.shape)

    def element(b: Expr, y: Expr, column: Expr, k: Expr) -> Expr:
        y, column = y - top, column - left
        value = x[b, y, column, k].astype("int16") - tirx.const(zero_point, "int16")
        inside = tirx.all(y >= 0, y < h, column >= 0, column < w)
        return tirx.if_then_else(inside, value, tirx.const(fill, "int16")) if any(padding) else value

    return te.compute((n, h + top + bottom, w + left + right, c), element, "padded")
