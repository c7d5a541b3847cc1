"""Which group of rows gets how many bits, so that the average meets a target and the outputs change least.

Each group's error at each number of bits is measured by plain rounding, weighed by how much its rows are used, as a
share of the layer's output. Bits are handed out by one price for all (a Lagrange multiplier, by bisection); within
a layer they do not increase from row to row, because the kernels take them so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ...errors import InputError
from ...types import Array
from .gptq import choose_scales, order
from .layout import BITS, GROUP, step

OVERHEAD = 4 / GROUP  # bits a weight, of the 4-bit scales


@dataclass(frozen=True)
class Demand:
    """What rounding costs one layer: `errors` (groups, len(BITS)), shares of the layer's output power."""

    errors: Array
    rows: int
    columns: int


def demand(weight: Tensor, moments: Tensor) -> Demand:
    """Measures a linear layer (outputs, inputs) with the second moments of its inputs."""
    rows = order(moments)
    used = (moments.diagonal() if moments.ndim == 2 else moments).numpy()[rows].astype(np.float64)
    w = weight.detach().numpy().T[rows]
    errors = np.empty((len(rows) // GROUP, len(BITS)))
    for g in range(len(errors)):
        part, weigh = w[GROUP * g : GROUP * (g + 1)], used[GROUP * g : GROUP * (g + 1), None]
        for i, bits in enumerate(BITS):
            scales, factor = choose_scales(part, bits)
            each, zero = step(scales, factor).astype(np.float32), 1 << bits - 1
            rounded = np.clip(np.rint(part / each), -zero, zero - 1) * each
            errors[g, i] = float((weigh * np.square(part - rounded)).sum())
    power = float((used[:, None] * np.square(w)).sum())
    return Demand(errors / max(power, 1e-30), w.shape[0], w.shape[1])


def allocate(demands: Sequence[Demand], target: float) -> list[tuple[int, ...]]:
    """Bits of each group of each layer, on average at most `target` bits a weight with scales and factors.

    InputError where the target cannot be met.
    """
    low, high = min(BITS) + OVERHEAD, max(BITS) + OVERHEAD
    if not low + 0.01 <= target <= high + 0.01:
        raise InputError(f"an average of {target} bits: EXL2 makes {low + 0.01:.2f} to {high:.2f}")
    cheap, dear = 0.0, 1e6
    for _ in range(100):
        price = (cheap * dear) ** 0.5 if cheap > 0 else dear * 1e-12
        if average(demands, _at(demands, price)) > target:
            cheap = price
        else:
            dear = price
    return _at(demands, dear)


def average(demands: Sequence[Demand], bits: Sequence[Sequence[int]]) -> float:
    """Bits a weight over all layers, scales and factors included."""
    total = sum(GROUP * d.columns * b + 4 * d.columns + 16 for d, of in zip(demands, bits, strict=True) for b in of)
    return total / sum(d.rows * d.columns for d in demands)


def _at(demands: Sequence[Demand], price: float) -> list[tuple[int, ...]]:
    """The best bits of each group where a bit of a weight costs `price`."""
    found = []
    for d in demands:
        cost = price * GROUP * d.columns * np.array(BITS)
        chosen = np.array(BITS)[(d.errors + cost).argmin(1)]
        found.append(tuple(int(b) for b in np.sort(chosen)[::-1]))
    return found
