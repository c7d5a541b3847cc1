"""What every op means on real numbers, as plain loops from its definition, for the tests to compare with.

Each function takes the op and float64 arrays. They share nothing with `ratti.ops` but the attributes' names.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from ratti.types import Array

LIMITS = {"NONE": (-math.inf, math.inf), "RELU": (0, math.inf), "RELU_N1_TO_1": (-1, 1), "RELU6": (0, 6)}


def activate(op, x: Array) -> Array:
    low, high = LIMITS[op.activation.name]
    return np.minimum(np.maximum(x, low), high)


def windows(op, x: Array, kernel, dilation=(1, 1)):
    """(output row, output column, [(ky, kx, y, x)] inside the input) of each window."""
    top, bottom, left, right = op.padding
    _, height, width, _ = x.shape
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    rows = (height + top + bottom - reach[0]) // op.stride[0] + 1
    columns = (width + left + right - reach[1]) // op.stride[1] + 1
    for oy, ox in itertools.product(range(rows), range(columns)):
        taps = []
        for ky, kx in itertools.product(range(kernel[0]), range(kernel[1])):
            y, x_ = oy * op.stride[0] - top + ky * dilation[0], ox * op.stride[1] - left + kx * dilation[1]
            if 0 <= y < height and 0 <= x_ < width:
                taps.append((ky, kx, y, x_))
        yield oy, ox, taps


def placed(cells: dict, batch: int) -> Array:
    """(N, OH, OW, C) from {(row, column): (N, C)}."""
    rows, columns = (1 + max(k[d] for k in cells) for d in (0, 1))
    return np.stack([np.stack([cells[r, c] for c in range(columns)], 1) for r in range(rows)], 1)


def conv2d(op, x: Array, w: Array, bias: Array | None = None) -> Array:
    inputs, outputs = w.shape[3], w.shape[0] // op.groups
    owner = (lambda o: o % op.groups) if op.interleaved else (lambda o: o // outputs)
    cells = {}
    for oy, ox, taps in windows(op, x, w.shape[1:3], op.dilation):
        cell = np.zeros((len(x), w.shape[0]))
        for o in range(w.shape[0]):
            group = slice(owner(o) * inputs, owner(o) * inputs + inputs)
            for ky, kx, y, x_ in taps:
                cell[:, o] += x[:, y, x_, group] @ w[o, ky, kx]
        cells[oy, ox] = cell + (0 if bias is None else bias)
    return activate(op, placed(cells, len(x)))


def depthwise_conv2d(op, x: Array, w: Array, bias: Array | None = None) -> Array:
    cells = {}
    for oy, ox, taps in windows(op, x, w.shape[1:3], op.dilation):
        cell = np.zeros((len(x), w.shape[3]))
        for o in range(w.shape[3]):
            for ky, kx, y, x_ in taps:
                cell[:, o] += x[:, y, x_, o // op.multiplier] * w[0, ky, kx, o]
        cells[oy, ox] = cell + (0 if bias is None else bias)
    return activate(op, placed(cells, len(x)))


def pool(reduce: Callable) -> Callable:
    def meaning(op, x: Array) -> Array:
        cells = {
            (oy, ox): reduce([x[:, y, x_] for _, _, y, x_ in taps], axis=0)
            for oy, ox, taps in windows(op, x, op.kernel)
        }
        return activate(op, placed(cells, len(x)))

    return meaning


def fully_connected(op, x: Array, w: Array, bias: Array | None = None) -> Array:
    rows = [[sum(a * b for a, b in zip(row, o, strict=True)) for o in w] for row in x.reshape(-1, w.shape[1])]
    return activate(op, np.array(rows) + (0 if bias is None else bias))


def mean(op, x: Array) -> Array:
    total: dict[tuple, list[float]] = {}
    for index in np.ndindex(x.shape):
        total.setdefault(tuple(i for d, i in enumerate(index) if d not in op.axes), []).append(x[index])
    return np.array([sum(v) / len(v) for _, v in sorted(total.items())])


def pad(op, x: Array) -> Array:
    out = np.zeros([n + a + b for n, (a, b) in zip(x.shape, op.padding, strict=True)])
    for index in np.ndindex(x.shape):
        out[tuple(i + a for i, (a, _) in zip(index, op.padding, strict=True))] = x[index]
    return out


def softmax(op, x: Array) -> Array:
    rows = x.reshape(-1, x.shape[-1])
    return np.array([[1 / sum(math.exp(op.beta * (b - a)) for b in row) for a in row] for row in rows])


def moved(shape, source: Callable) -> Array:
    """The array whose element at each index is what `source` says."""
    out = np.zeros(shape)
    for index in np.ndindex(*shape):
        out[index] = source(*index)
    return out


def concat(op, *arrays: Array) -> Array:
    sizes = [a.shape[op.axis] for a in arrays]
    shape = [*arrays[0].shape[: op.axis], sum(sizes), *arrays[0].shape[op.axis + 1 :]]

    def source(*index):
        at = list(index)
        for array in arrays:
            if at[op.axis] < array.shape[op.axis]:
                return array[tuple(at)]
            at[op.axis] -= array.shape[op.axis]
        raise AssertionError

    return moved(shape, source)


def pack(op, *arrays: Array) -> Array:
    shape = (*arrays[0].shape[: op.axis], len(arrays), *arrays[0].shape[op.axis :])
    return moved(shape, lambda *i: arrays[i[op.axis]][(*i[: op.axis], *i[op.axis + 1 :])])


def unpack(op, x: Array) -> list[Array]:
    shape = (*x.shape[: op.axis], *x.shape[op.axis + 1 :])
    return [moved(shape, lambda *i, k=k: x[(*i[: op.axis], k, *i[op.axis :])]) for k in range(x.shape[op.axis])]


def split(op, x: Array) -> list[Array]:
    parts, begin = [], 0
    for n in op.sizes:
        shape = (*x.shape[: op.axis], n, *x.shape[op.axis + 1 :])
        parts.append(
            moved(shape, lambda *i, b=begin: x[tuple(v + b * (d == op.axis) for d, v in enumerate(i))])
        )
        begin += n
    return parts


def depth_to_space(op, x: Array) -> Array:
    (n, h, w, c), b = x.shape, op.block
    c //= b * b
    shape = (n, h * b, w * b, c)
    return moved(shape, lambda k, y, z, o: x[k, y // b, z // b, (y % b * b + z % b) * c + o])


def space_to_depth(op, x: Array) -> Array:
    (n, h, w, c), b = x.shape, op.block
    shape = (n, h // b, w // b, c * b * b)
    return moved(shape, lambda k, y, z, o: x[k, y * b + o // c // b, z * b + o // c % b, o % c])


def transpose(op, x: Array) -> Array:
    shape = [x.shape[k] for k in op.permutation]
    return moved(shape, lambda *i: x[tuple(i[op.permutation.index(d)] for d in range(x.ndim))])


def slice_(op, x: Array) -> Array:
    return moved(op.count, lambda *i: x[tuple(b + k * s for b, k, s in zip(op.begin, i, op.stride, strict=True))])


def each(function: Callable) -> Callable:
    """The meaning of an op of one element at a time."""
    return lambda op, x: np.array([function(op, v) for v in x.ravel()])


def reduced(function: Callable) -> Callable:
    def meaning(op, x: Array) -> Array:
        cells: dict[tuple, list[float]] = {}
        for index in np.ndindex(x.shape):
            cells.setdefault(tuple(i for d, i in enumerate(index) if d not in op.axes), []).append(x[index])
        return np.array([function(v) for _, v in sorted(cells.items())])

    return meaning


def resized(interpolate: Callable) -> Callable:
    """(N, *size, C) from positions along height and width in the input."""

    def meaning(op, x: Array) -> Array:
        n, h, w, c = x.shape
        places = []
        for out, size in zip(op.size, (h, w), strict=True):
            corners = op.align_corners and out > 1
            scale = (size - 1) / (out - 1) if corners else size / out
            places.append([(k + 0.5 * op.half_pixel_centers) * scale for k in range(out)])
        return moved((n, *op.size, c), lambda k, y, z, o: interpolate(op, x[k, :, :, o], places[0][y], places[1][z]))

    return meaning


def nearest(op, plane: Array, y: float, x: float) -> float:
    at = [math.floor(v + 0.5 * op.align_corners + 1e-9) for v in (y, x)]
    return plane[min(at[0], len(plane) - 1), min(at[1], plane.shape[1] - 1)]


def bilinear(op, plane: Array, y: float, x: float) -> float:
    total = 0.0
    y, x = (max(v - 0.5 * op.half_pixel_centers, 0) for v in (y, x))
    for j, a in ((math.floor(y), 1 - y % 1), (math.floor(y) + 1, y % 1)):
        for i, b in ((math.floor(x), 1 - x % 1), (math.floor(x) + 1, x % 1)):
            total += a * b * plane[min(j, len(plane) - 1), min(i, plane.shape[1] - 1)]
    return total


def transpose_conv2d(op, x: Array, w: Array, bias: Array | None = None) -> Array:
    out = np.zeros((len(x), *op.size, len(w)))
    for n, y, z, o in np.ndindex(*x.shape[:3], len(w)):
        for ky, kx in np.ndindex(*w.shape[1:3]):
            row, column = y * op.stride[0] - op.padding[0] + ky, z * op.stride[1] - op.padding[1] + kx
            if 0 <= row < op.size[0] and 0 <= column < op.size[1]:
                out[n, row, column, o] += x[n, y, z] @ w[o, ky, kx]
    return activate(op, out + (0 if bias is None else bias))


def batch_matmul(op, x: Array, y: Array) -> Array:
    (shape,) = op.infer_shapes(x.shape, y.shape)
    depth = x.shape[-2 if op.transposed else -1]

    def cell(*index):
        *lead, m, n = index
        total = 0.0
        for k in range(depth):
            first = x[tuple(min(i, s - 1) for i, s in zip(lead, x.shape, strict=False))]
            second = y[tuple(min(i, s - 1) for i, s in zip(lead, y.shape, strict=False))]
            total += first[(k, m) if op.transposed else (m, k)] * second[(n, k) if op.transposed_other else (k, n)]
        return total

    return moved(shape, cell)


def prelu(op, x: Array, alpha: Array) -> Array:
    x, alpha = np.broadcast_arrays(x, alpha)
    return np.array([v if v > 0 else v * a for v, a in zip(x.ravel(), alpha.ravel(), strict=True)])


MEANINGS: dict[str, Callable] = {
    "arg_max": lambda op, x: np.array(np.apply_along_axis(lambda v: list(v).index(max(v)), op.axis, x)),
    "batch_matmul": batch_matmul,
    "reduce_max": reduced(max),
    "resize_bilinear": resized(bilinear),
    "resize_nearest": resized(nearest),
    "sum": reduced(sum),
    "transpose_conv2d": transpose_conv2d,
    "maximum": lambda op, x, y: np.where(x > y, x, y),
    "minimum": lambda op, x, y: np.where(x < y, x, y),
    "mul": lambda op, x, y: activate(op, x * y),
    "prelu": prelu,
    "squared_difference": lambda op, x, y: (x - y) * (x - y),
    "sub": lambda op, x, y: activate(op, x - y),
    "abs": each(lambda op, v: -v if v < 0 else v),
    "concat": concat,
    "depth_to_space": depth_to_space,
    "elu": each(lambda op, v: v if v > 0 else math.exp(v) - 1),
    "hard_swish": each(lambda op, v: v * min(max(v + 3, 0), 6) / 6),
    "leaky_relu": each(lambda op, v: v if v > 0 else op.alpha * v),
    "logistic": each(lambda op, v: 1 / (1 + math.exp(-v))),
    "pack": pack,
    "slice": slice_,
    "space_to_depth": space_to_depth,
    "split": split,
    "tanh": each(lambda op, v: math.tanh(v)),
    "transpose": transpose,
    "unpack": unpack,
    "add": lambda op, x, y: activate(op, x + y),
    "average_pool2d": pool(np.mean),
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "fully_connected": fully_connected,
    "max_pool2d": pool(np.max),
    "mean": mean,
    "pad": pad,
    "relu": lambda op, x: np.where(x > 0, x, 0),
    "relu6": lambda op, x: np.where(x > 6, 6, np.where(x > 0, x, 0)),
    "requantize": lambda op, x: x,
    "reshape": lambda op, x: x.ravel(),
    "softmax": softmax,
}
