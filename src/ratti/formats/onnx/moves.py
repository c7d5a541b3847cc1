"""Ops that move elements or name shapes. On constants they are computed here: exporters compute shapes with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import UnsupportedError
from ...ops.pad import Pad
from ...types import Shape
from .constants import Constant, real
from .importer import DEQUANTIZE, QUANTIZE, Handler, Importer
from .program import Node

MOST_ELEMENTS = 1 << 22  # of a constant that is computed here


def alias(importer: Importer, node: Node) -> None:
    """Identity, dropout, casts of floats to floats: nothing happens when a model runs."""
    if node.op == "Cast" and importer.is_constant(node, 0):
        kinds = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float32, 11: np.float32}
        kind = kinds.get(int(node.attributes.get("to", 0)))
        held = importer.constant(node, 0, "data")
        if kind is None or held.scale is not None:
            raise UnsupportedError(f"{node.place}: a cast to element type {node.attributes.get('to')}")
        with np.errstate(invalid="ignore"):
            importer.known(node, Constant(held.data.astype(kind)))
        return
    if node.op == "Cast" and int(node.attributes.get("to", 0)) not in (1, 10, 11):
        raise UnsupportedError(f"{node.place}: a cast of activations to whole numbers")
    importer.alias(node)


def constant(importer: Importer, node: Node) -> None:
    given = {k: v for k, v in node.attributes.items() if k.startswith("value")}
    if len(given) != 1:
        raise UnsupportedError(f"{node.place} holds {', '.join(given) or 'nothing'}; one value is supported")
    value = next(iter(given.values()))
    data = np.asarray(value)
    if data.dtype.kind not in "bif" and data.dtype.kind != "u":
        raise UnsupportedError(f"{node.place} holds no numbers")
    importer.known(node, Constant(data.astype(np.float32) if data.dtype == np.float64 else data))


def shape_of(importer: Importer, node: Node) -> None:
    shape = importer.dimensions(node, 0)
    start, end = int(node.attributes.get("start", 0)), node.attributes.get("end")
    importer.known(node, Constant(np.array(shape[slice(start, None if end is None else int(end))], np.int64)))


def constant_of_shape(importer: Importer, node: Node) -> None:
    shape = importer.ints(node, "shape", 0)
    value = np.asarray(node.attributes.get("value", np.zeros(1, np.float32)))
    if min(shape, default=0) < 0 or math.prod(shape) > MOST_ELEMENTS or value.size != 1:
        raise UnsupportedError(f"{node.place}: a constant of shape {shape}")
    importer.known(node, Constant(np.full(shape, value.ravel()[0])))


def gather(importer: Importer, node: Node) -> None:
    held = importer.constant(node, 0, "data")
    indices = importer.constant(node, 1, "indices").data
    axis = int(node.attributes.get("axis", 0))
    size = held.data.shape[axis] if -held.data.ndim <= axis < held.data.ndim else 0
    fits = indices.dtype.kind == "i" and indices.size * held.data.size <= MOST_ELEMENTS
    if held.scale is not None or not fits or not ((indices >= -size) & (indices < size)).all():
        raise UnsupportedError(f"{node.place}: indices {indices.shape} into {held.data.shape} along axis {axis}")
    importer.known(node, Constant(np.take(held.data, indices, axis)))


def arithmetic(importer: Importer, node: Node) -> bool:
    """Add and its kin on constants: True where both are."""
    if not (importer.is_constant(node, 0) and importer.is_constant(node, 1)):
        return False
    a, b = (importer.constant(node, k, "operand") for k in range(2))
    size = math.prod(np.broadcast_shapes(a.data.shape, b.data.shape))
    if a.scale is not None or b.scale is not None or size > MOST_ELEMENTS:
        return False
    whole = a.data.dtype.kind == "i"
    functions = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.floor_divide if whole else np.divide}
    with np.errstate(all="ignore"):
        importer.known(node, Constant(np.asarray(functions[node.op](a.data, b.data)).astype(a.data.dtype)))
    return True


def reshape(importer: Importer, node: Node) -> None:
    shape = importer.dimensions(node, 0)
    wanted = list(importer.ints(node, "shape", 1))
    if not node.attributes.get("allowzero", 0):
        wanted = [shape[k] if n == 0 and k < len(shape) else n for k, n in enumerate(wanted)]
    moved(importer, node, resolved(node, wanted, math.prod(shape)))


def resolved(node: Node, wanted: Sequence[int], elements: int) -> Shape:
    """A shape with its one -1 filled in."""
    known = math.prod(n for n in wanted if n != -1)
    shape = tuple(elements // known if n == -1 and known > 0 else n for n in wanted)
    if len(wanted) > 8 or list(wanted).count(-1) > 1 or min(shape, default=1) < 1 or math.prod(shape) != elements:
        raise UnsupportedError(f"{node.place}: {elements} elements cannot take the shape {tuple(wanted)}; was the "
                               f"model exported for another batch size than 1?")
    return shape


def moved(importer: Importer, node: Node, shape: Shape) -> None:
    """The first operand in another shape."""
    if importer.is_constant(node, 0):
        held = importer.constant(node, 0, "data")
        if held.scale is not None and held.scale.size > 1 and held.data.shape != shape:
            raise UnsupportedError(f"{node.place}: a reshape of weights with several scales")
        importer.known(node, replace(held, data=held.data.reshape(shape)))
    else:
        importer.rename(node, importer.reshaped(importer.activation(node, 0), shape))


def flatten(importer: Importer, node: Node) -> None:
    shape = importer.dimensions(node, 0)
    axis = int(node.attributes.get("axis", 1))
    axis += len(shape) * (axis < 0)
    moved(importer, node, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def squeeze(importer: Importer, node: Node) -> None:
    shape = importer.dimensions(node, 0)
    ones = [k for k, n in enumerate(shape) if n == 1]
    axes = {a % max(len(shape), 1) for a in importer.ints(node, "axes", 1, ones)}
    if not axes <= set(ones):
        raise UnsupportedError(f"{node.place}: dimensions {sorted(axes)} of {shape} are not all 1")
    moved(importer, node, tuple(n for k, n in enumerate(shape) if k not in axes))


def unsqueeze(importer: Importer, node: Node) -> None:
    shape = list(importer.dimensions(node, 0))
    axes = importer.ints(node, "axes", 1)
    rank = len(shape) + len(axes)
    if rank > 8 or not all(-rank <= a < rank for a in axes):
        raise UnsupportedError(f"{node.place}: axes {axes} of an input {tuple(shape)}")
    for axis in sorted(a % rank for a in axes):
        shape.insert(axis, 1)
    moved(importer, node, tuple(shape))


def transpose(importer: Importer, node: Node) -> None:
    rank = len(importer.dimensions(node, 0))
    axes = importer.ints(node, "perm", None, range(rank)[::-1])
    if sorted(axes) != list(range(rank)):
        raise UnsupportedError(f"{node.place}: a permutation {axes} of {rank} dimensions")
    if not importer.is_constant(node, 0):
        importer.rename(node, importer.transposed(importer.activation(node, 0), axes))
        return
    held = importer.constant(node, 0, "data")
    axis = axes.index(held.axis % rank) if held.scale is not None and held.scale.size > 1 else 0
    importer.known(node, replace(held, data=held.data.transpose(axes), axis=axis))


def pad(importer: Importer, node: Node) -> None:
    x = importer.activation(node, 0)
    rank = len(importer.shape(x))
    pads = importer.ints(node, "pads", 1)
    value = node.attributes.get("value", 0.0) if not importer.has(node, 2) else _pad_value(importer, node, x)
    axes = [a % rank for a in importer.ints(node, "axes", 3, range(rank))]
    if node.attributes.get("mode", b"constant") != b"constant" or value != 0:
        raise UnsupportedError(f"{node.place}: only padding with zeros is supported")
    if len(pads) != 2 * len(axes) or min(pads, default=0) < 0:
        raise UnsupportedError(f"{node.place}: padding {pads} of {len(axes)} dimensions, by 0 or more each")
    pairs = dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    importer.emit(node, Pad(tuple(pairs.get(k, (0, 0)) for k in range(rank))), [x], keep=True)


def _pad_value(importer: Importer, node: Node, x: str) -> float:
    """The value that a pad writes, in real numbers: in models of integers it is a code."""
    held = importer.constant(node, 2, "value")
    if held.data.size != 1:
        raise UnsupportedError(f"{node.place}: {held.data.size} values to pad with")
    if held.scale is None and held.data.dtype in (np.int8, np.uint8) and importer.is_quantized(x):
        code = int(held.data.ravel()[0]) - (128 if held.data.dtype == np.uint8 else 0)
        return float(code - importer.builder.type(x).zero_point)
    return float(real(node, held).ravel()[0])


HANDLERS: dict[str, Handler] = {
    "Identity": alias,
    "Dropout": alias,
    "Cast": alias,
    "Constant": constant,
    "Shape": shape_of,
    "ConstantOfShape": constant_of_shape,
    "Gather": gather,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Pad": pad,
    QUANTIZE: Importer.quantize,
    DEQUANTIZE: Importer.dequantize,
}
