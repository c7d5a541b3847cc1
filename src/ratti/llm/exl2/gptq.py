"""GPTQ (Frantar et al. 2022) with activation order: rows are rounded one by one, the most used first, and what each
loses is made good in the rows that follow.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ...errors import RattiError
from ...types import Array
from .layout import GROUP, Codes, step

DAMPING = 0.01  # of the mean of the Hessian's diagonal
LEAST_FACTOR = np.float32(1e-5)  # step() divides it by 256: it must not underflow
FACTORS = (1.0, 0.92, 0.84)  # tried for the largest step of a group
SCALES = 16
ATTEMPTS = 8


def order(moments: Tensor) -> Array:
    """Inputs by how much they are used, the most first; of `moments`, x xᵀ or its diagonal."""
    used = (moments.diagonal() if moments.ndim == 2 else moments).numpy()
    return np.argsort(-used, kind="stable")


def quantize(weight: Tensor, moments: Tensor, bits: Sequence[int]) -> Codes:
    """Rounds a linear layer so that its outputs change least.

    Args:
        weight: (outputs, inputs) float32.
        moments: sum of x xᵀ over a text, (inputs, inputs) float64.
        bits: of each group of 32 rows, not increasing.
    """
    rows_in_order = order(moments)
    w = weight.detach().T[torch.from_numpy(rows_in_order)].clone()  # (rows, columns)
    upper = _inverse_factor(moments[rows_in_order][:, rows_in_order])
    codes = np.empty(w.shape, np.uint8)
    scales, factors = [], []
    for g, b in enumerate(bits):
        start, end = GROUP * g, GROUP * (g + 1)
        scale, factor = choose_scales(w[start:end].numpy(), b)
        each = torch.from_numpy(step(scale, factor).astype(np.float32))
        lost = torch.empty(GROUP, w.shape[1])
        zero = 1 << b - 1
        for i in range(start, end):
            whole = torch.clamp(torch.round(w[i] / each), -zero, zero - 1)
            codes[i] = (whole + zero).numpy().astype(np.uint8)
            error = (w[i] - whole * each) / upper[i, i]
            w[i + 1 : end] -= torch.outer(upper[i, i + 1 : end], error)
            lost[i - start] = error
        w[end:] -= upper[start:end, end:].T @ lost
        scales.append(scale)
        factors.append(factor)
    return Codes(codes, np.stack(scales), np.array(factors, np.float16), tuple(bits), rows_in_order)


def choose_scales(group: Array, bits: int) -> tuple[Array, np.float16]:
    """(4-bit scales (columns,), factor) with the least squared error of rounding `group` (32, columns) to `bits`."""
    zero = 1 << bits - 1
    largest = np.float32(np.abs(group).max() / (zero - 0.5 if bits > 2 else zero))
    best_scales, best_factor, best = np.zeros(group.shape[1], np.uint8), np.float16(0), np.inf
    for share in FACTORS:
        factor = np.float16(max(largest * np.float32(share), LEAST_FACTOR))
        errors = np.stack([_error(group, step(np.array([s]), factor).astype(np.float32), zero) for s in range(SCALES)])
        scales = errors.argmin(0)
        total = float(errors.min(0).sum())
        if total < best:
            best_scales, best_factor, best = scales.astype(np.uint8), factor, total
    return best_scales, best_factor


def _error(group: Array, each: Array, zero: int) -> Array:
    whole = np.clip(np.rint(group / each), -zero, zero - 1)
    found: Array = np.square(group - whole * each).sum(0)
    return found


def _inverse_factor(moments: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse of the damped Hessian, float32."""
    h = moments.clone()
    mean = float(h.diagonal().mean())
    damping = max(DAMPING * mean, 1e-8)
    for _ in range(ATTEMPTS):
        h.diagonal().add_(damping)
        lower, failed = torch.linalg.cholesky_ex(h)
        if not failed:
            upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
            if not failed:
                found: Tensor = upper.float()
                return found
        damping *= 10
    raise RattiError("GPTQ: the activations' second moments cannot be inverted; calibrate with more text")
