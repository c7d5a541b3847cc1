"""Sliding windows over NHWC tensors: the geometry that convolutions and pools share."""

from __future__ import annotations

import numpy as np

from ..types import Array, Shape

Pair = tuple[int, int]  # (height, width)
Padding = tuple[int, int, int, int]  # top, bottom, left, right

LARGEST_WINDOW = 1 << 20  # positions that a window spans: what a file claims must not decide how much padding takes


def same_padding(size: Pair, kernel: Pair, stride: Pair, dilation: Pair) -> Padding:
    """TFLite's SAME: the output has ceil(size / stride) rows; the odd row of padding goes to the bottom/right."""
    check_steps(stride, dilation)
    pads: list[int] = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        out = -(-n // s)
        total = max((out - 1) * s + (k - 1) * d + 1 - n, 0)
        pads += [total // 2, total - total // 2]
    return pads[0], pads[1], pads[2], pads[3]


def resolve_padding(code: int, size: Pair, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Padding:
    """Explicit padding of a TFLite padding code (0 SAME, 1 VALID)."""
    if code not in (0, 1):
        raise ValueError(f"padding code {code} (0 SAME and 1 VALID exist)")
    return same_padding(size, kernel, stride, dilation) if code == 0 else (0, 0, 0, 0)


def padding_code(padding: Padding, size: Pair, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> int | None:
    """TFLite's code of an explicit padding, or None where only a PAD before the op can express it."""
    if padding == (0, 0, 0, 0):
        return 1
    return 0 if padding == same_padding(size, kernel, stride, dilation) else None


def out_size(size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)) -> Pair:
    """Rows and columns of the output; ValueError where the window does not fit."""
    check_steps(stride, dilation)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    if min(kernel) < 1 or reach[0] * reach[1] > LARGEST_WINDOW:
        raise ValueError(f"a window of {kernel} (dilation {dilation}); it must span 1 to {LARGEST_WINDOW} positions")
    spans = [size[0] + sum(padding[:2]) - reach[0], size[1] + sum(padding[2:]) - reach[1]]
    if min(spans) < 0:
        raise ValueError(f"a window of {kernel} (dilation {dilation}) does not fit into {size} padded by {padding}")
    return spans[0] // stride[0] + 1, spans[1] // stride[1] + 1


def pad_hw(x: Array, padding: Padding, fill: float) -> Array:
    """(N, H, W, C) padded in H and W with `fill`."""
    top, bottom, left, right = padding
    return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)


def patches(x: Array, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Array:
    """Windows of an already padded (N, H, W, C): a view (N, OH, OW, KH, KW, C)."""
    eff = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, eff, axis=(1, 2))  # (N, H', W', C, KH', KW')
    view = view[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return view.transpose(0, 1, 2, 4, 5, 3)


def counts(size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """How many elements of each window lie inside the input: (OH, OW, 1)."""
    ones = pad_hw(np.ones((1, *size, 1), np.int64), padding, 0)
    inside: Array = patches(ones, kernel, stride).sum(axis=(3, 4))[0]
    return inside


def check_steps(stride: Pair, dilation: Pair) -> None:
    if min(*stride, *dilation) < 1:
        raise ValueError(f"stride {stride} and dilation {dilation} must be at least 1")


def check_rank4(shape: Shape) -> None:
    if len(shape) != 4:
        raise ValueError(f"expects (N, H, W, C), not {shape}")


def map_size(shape: Shape) -> Pair:
    """(H, W) of (N, H, W, C), or (KH, KW) of weights; ValueError for other ranks."""
    check_rank4(shape)
    return shape[1], shape[2]
