"""Rules that families share: widths under a multiplier, strides at small resolutions."""

from __future__ import annotations

from collections.abc import Sequence


def scaled(width: float, multiplier: float, divisor: int = 8) -> int:
    """`width * multiplier` rounded to a multiple of `divisor`, at least `divisor`, never more than 10 % below.

    The rounding of the MobileNet reference code (Sandler et al. 2018).
    """
    exact = width * multiplier
    rounded = max(divisor, int(exact + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * exact else rounded


def adapted_strides(strides: Sequence[int], resolution: int, smallest_map: int = 4, up_to: int = 32) -> tuple[int, ...]:
    """The strides of a net made for large pictures, for an input of `resolution` pixels.

    The rule: where the input is at most `up_to` pixels, strides are taken back to 1 from the input's end on, one by
    one, until the last map is at least `smallest_map` pixels wide (or no stride is left). Larger inputs keep the
    paper's.
    """
    adapted = list(strides)
    while resolution <= up_to and _last_map(adapted, resolution) < smallest_map and max(adapted) > 1:
        adapted[next(i for i, s in enumerate(adapted) if s > 1)] = 1
    return tuple(adapted)


def _last_map(strides: Sequence[int], size: int) -> int:
    for s in strides:
        size = -(-size // s)
    return size
