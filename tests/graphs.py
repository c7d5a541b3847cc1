"""Random int8 graphs with branches, shared values, reshapes, several inputs and outputs."""

from __future__ import annotations

import numpy as np

from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.ops._window import same_padding
from ratti.ops.add import Add
from ratti.ops.average_pool2d import AveragePool2D
from ratti.ops.base import Activation, int8
from ratti.ops.concat import Concat
from ratti.ops.conv2d import Conv2D
from ratti.ops.depthwise_conv2d import DepthwiseConv2D
from ratti.ops.max_pool2d import MaxPool2D
from ratti.ops.mul import Mul
from ratti.ops.pad import Pad
from ratti.ops.relu import Relu
from ratti.ops.requantize import Requantize
from ratti.ops.reshape import Reshape
from ratti.ops.resize_nearest import ResizeNearest
from ratti.ops.slice import Slice
from ratti.ops.space_to_depth import SpaceToDepth
from ratti.ops.sub import Sub
from ratti.types import Quant

Quantized = tuple[float, int]  # scale and zero point


def random_graph(seed: int, nodes: int, name: str = "random") -> Graph:
    """A graph of `nodes` nodes. Outputs are all values that nothing reads, and some that are read; maybe an input."""
    rng = np.random.default_rng(seed)
    b = GraphBuilder(name)
    maps = [b.input(f"x{k}", int8((1, 7 - k, 5, 3 + k), 0.05, int(rng.integers(-128, 128)))) for k in range(2)]
    read: set[str] = set()
    for _ in range(nodes):
        # Recent values more often than old ones: chains, and some long lives.
        x = maps[-1 - min(int(rng.geometric(0.35)) - 1, len(maps) - 1)]
        read.add(x)
        maps.append(_node(b, rng, x, maps, read))
    outputs = [m for m in maps if m not in read] + list(rng.choice(maps, 2))
    return b.build(list(dict.fromkeys(map(str, outputs))))


def _node(b: GraphBuilder, rng: np.random.Generator, x: str, maps: list[str], read: set[str]) -> str:
    type = b.type(x)
    _, h, w, c = type.shape
    keep = (type.scale, type.zero_point)
    new = (float(rng.uniform(0.03, 0.12)), int(rng.integers(-128, 128)))
    act = Activation(int(rng.integers(4)))
    window = (min(int(rng.integers(1, 4)), h), min(int(rng.integers(1, 4)), w))
    stride = (1, 1) if rng.random() < 0.7 else (2, 1)
    same = same_padding((h, w), window, stride, (1, 1))
    kind = rng.integers(16)
    if kind == 0:
        others = [m for m in maps if b.shape(m) == type.shape]
        other = str(rng.choice(others))
        read.add(other)
        return b.quantized(Add(act), [x, other], *new)
    if kind in (1, 2):
        outputs = int(rng.integers(1, 9))
        data = rng.integers(-127, 128, (outputs, *window, c)).astype(np.int8)
        weight = b.constant("w", data, Quant.per_channel(rng.uniform(0.001, 0.004, outputs), 0))
        return b.quantized(Conv2D(stride, same, activation=act), [x, weight], *new)
    if kind == 3:
        data = rng.integers(-127, 128, (1, *window, c)).astype(np.int8)
        weight = b.constant("w", data, Quant.per_channel(rng.uniform(0.002, 0.01, c), 3))
        return b.quantized(DepthwiseConv2D(stride, same, activation=act), [x, weight], *new)
    if kind == 4:
        pool = (MaxPool2D, AveragePool2D)[int(rng.integers(2))]
        return b.quantized(pool(window, stride, same), [x], *keep)
    if kind == 5:
        if h * w * c > 400:
            return b.quantized(Relu(), [x], *new)
        rows, columns = (int(v) for v in rng.integers(0, 2, 2))
        return b.quantized(Pad(((0, 0), (rows, 0), (0, columns), (0, 1))), [x], *keep)
    if kind == 6:
        return b.quantized(Reshape((1, w, h, c)), [x], *keep)
    if kind in (7, 8):
        return b.quantized((Relu(), Requantize())[kind - 7], [x], *new)
    if kind in (9, 10):
        return _pair(b, rng, x, maps, read, new)
    return _moved(b, rng, x, maps, read)


def _pair(b: GraphBuilder, rng: np.random.Generator, x: str, maps: list[str], read: set[str], new: Quantized) -> str:
    """A product or difference with another map, or with a constant for each channel."""
    type = b.type(x)
    op = (Mul(), Sub(), Mul(Activation.RELU6))[int(rng.integers(3))]
    if rng.random() < 0.5:
        data = rng.integers(-128, 128, type.shape[3:]).astype(np.int8)
        other = b.constant("c", data, Quant.per_tensor(0.02, int(rng.integers(-128, 128))))
    else:
        other = str(rng.choice([m for m in maps if b.shape(m) == type.shape]))
        read.add(other)
    return b.quantized(op, [x, other] if rng.random() < 0.7 else [other, x], *new)


def _moved(b: GraphBuilder, rng: np.random.Generator, x: str, maps: list[str], read: set[str]) -> str:
    """A map whose elements are those of others."""
    type = b.type(x)
    _, h, w, c = type.shape
    keep = (type.scale, type.zero_point)
    kind = rng.integers(5)
    if kind == 0 and h * w * c < 400:
        others = [m for m in maps if b.type(m) == type]
        other = str(rng.choice(others))
        read.add(other)
        return b.quantized(Concat(int(rng.integers(1, 4))), [x, other], *keep)
    if kind == 2 and h * w * c < 200:
        return b.quantized(ResizeNearest((h + int(rng.integers(3)), 2 * w)), [x], *keep)
    if kind == 3 and h % 2 == 0 and w % 2 == 0:
        return b.quantized(SpaceToDepth(2), [x], *keep)
    begin = [0, *(int(rng.integers(n)) for n in (h, w, c))]
    count = (1, *(int(rng.integers(1, n - at + 1)) for n, at in zip((h, w, c), begin[1:], strict=True)))
    return b.quantized(Slice(tuple(begin), count, (1, 1, 1, 1)), [x], *keep)
