"""A small model with a bit of everything, and ways to damage it, for the tests of readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from ratti.formats import tflite
from ratti.formats.tflite.flatbuffer import SCALARS, Reader, write
from ratti.formats.tflite.schema import OPTIONS, TABLES
from ratti.graph.builder import GraphBuilder
from ratti.graph.ir import Graph
from ratti.ops.add import Add
from ratti.ops.average_pool2d import AveragePool2D
from ratti.ops.base import Activation, int8
from ratti.ops.conv2d import Conv2D
from ratti.ops.fully_connected import FullyConnected
from ratti.ops.mean import Mean
from ratti.ops.pad import Pad
from ratti.ops.relu import Relu
from ratti.ops.reshape import Reshape
from ratti.ops.softmax import Softmax
from ratti.types import Quant


def small_graph() -> Graph:
    """Convolution, relu, pad, pool, residual add, reshape, fully connected, softmax; two outputs; metadata."""
    rng = np.random.default_rng(7)
    b = GraphBuilder("small")
    x = b.input("x", int8((1, 6, 5, 3), 0.02, -3))
    w = b.constant("w", rng.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8), Quant.per_channel(np.full(4, 0.01), 0))
    bias = b.constant("bias", rng.integers(-99, 99, 4).astype(np.int32), Quant.per_channel(np.full(4, 0.0002), 0))
    conv = b.quantized(Conv2D(padding=(1, 1, 1, 1), activation=Activation.RELU6), [x, w, bias], 0.03, -128)
    relu = b.quantized(Relu(), [conv], 0.02, -120)
    padded = b.quantized(Pad(((0, 0), (1, 0), (0, 1), (0, 0))), [relu], 0.02, -120)
    pooled = b.quantized(AveragePool2D((2, 2), (1, 1)), [padded], 0.02, -120)
    total = b.quantized(Add(), [pooled, relu], 0.04, -100)
    mean = b.quantized(Mean((1, 2)), [total], 0.03, -90)
    flat = b.quantized(Reshape((1, 120)), [total], 0.04, -100)
    w2 = b.constant("w2", rng.integers(-127, 128, (5, 120)).astype(np.int8), Quant.per_tensor(0.01, 0))
    logits = b.quantized(FullyConnected(), [flat, w2], 0.1, 5)
    return b.build([b.quantized(Softmax(), [logits], 1 / 256, -128), mean], {"note": "a small model"})


@cache
def small_model() -> bytes:
    return tflite.serialize(small_graph())


def decode(data: bytes) -> dict[str, Any]:
    """The tables of a file, ready to be changed and written again."""
    return _present("Model", Reader(data).root("Model"))


def changed(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The small model with something changed in its tables."""
    model = decode(small_model())
    change(model)
    return write("Model", model)


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Damaged copies: bytes and words replaced by random or telling values, stretches moved, doubled, cut or zeroed."""
    rng = np.random.default_rng(seed)
    words = np.array([0, 1, 2, 3, 4, 0x7F, 0x80, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, len(data)], np.uint64)
    for _ in range(count):
        copy = bytearray(data)
        for _ in range(int(rng.choice([1, 1, 1, 2, 4, 16]))):
            at, length = int(rng.integers(len(copy))), int(rng.choice([1, 2, 4, 8, 32]))
            kind = rng.integers(6)
            if kind == 0:
                copy[at] = int(rng.integers(256))
            elif kind == 1:
                copy[at] ^= 1 << int(rng.integers(8))
            elif kind == 2:
                at = at // 4 * 4
                copy[at : at + 4] = int(rng.choice(words)).to_bytes(8, "little")[:4]
            elif kind == 3:
                other = int(rng.integers(len(copy)))
                copy[at : at + length] = copy[other : other + length]
            elif kind == 4:
                del copy[at : at + length]
            else:
                copy[at : at + length] = bytes(length)
            if not copy:
                copy = bytearray(1)
        yield bytes(copy)


def _present(table: str, content: dict[str, Any]) -> dict[str, Any]:
    """`content` without the fields that a file leaves out, so that it can be written."""
    out: dict[str, Any] = {}
    for name, kind, default in TABLES[table]:
        value = content.get(name)
        if kind in SCALARS:
            if value != default:
                out[name] = value
        elif kind == "union":
            if value is not None:
                out[name] = _present(OPTIONS[content[f"{name}_type"]], value)
        elif isinstance(value, list):
            out[name] = [_present(kind[1:-1], v) for v in value]
        elif isinstance(value, dict):
            out[name] = _present(kind, value)
        elif isinstance(value, (str, np.ndarray)):
            out[name] = value
    return out
