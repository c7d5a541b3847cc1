"""Tensors joined, cut and rearranged by blocks."""

from __future__ import annotations

import numpy as np

from ...errors import UnsupportedError
from ...ops.concat import Concat
from ...ops.depth_to_space import DepthToSpace
from ...ops.slice import Slice
from ...ops.space_to_depth import SpaceToDepth
from ...ops.split import Split
from .constants import Constant
from .importer import Handler, Importer
from .moves import MOST_ELEMENTS
from .program import Node


def concat(importer: Importer, node: Node) -> None:
    """Of constants at once; of int8 activations all in the codes of the result."""
    count = len(node.inputs)
    if all(importer.is_constant(node, k) for k in range(count)):
        held = [importer.constant(node, k, "operand") for k in range(count)]
        if any(h.scale is not None for h in held) or sum(h.data.size for h in held) > MOST_ELEMENTS:
            raise UnsupportedError(f"{node.place}: constants too large to be joined here, or codes")
        importer.known(node, Constant(np.concatenate([h.data for h in held], axis_of(importer, node))))
        return
    values = [importer.activation(node, k) for k in range(count)]
    quant = importer.behind(node) or importer.builder.type(values[0]).quant
    if quant is not None and importer.is_quantized(values[0]):
        values = [importer.requantized(v, quant) for v in values]
    importer.emit(node, Concat(axis_of(importer, node)), values, keep=True)


def split(importer: Importer, node: Node) -> None:
    x = importer.activation(node, 0)
    axis = axis_of(importer, node, 0)
    size, count = importer.shape(x)[axis], len(node.outputs)
    even = -(-size // count)
    sizes = importer.ints(node, "split", 1, [even] * (count - 1) + [size - even * (count - 1)])
    importer.emit_parts(node, Split(axis, sizes), [x])


def cut(importer: Importer, node: Node) -> None:
    shape = importer.dimensions(node, 0)
    starts, ends = (importer.ints(node, name, k) for k, name in ((1, "starts"), (2, "ends")))
    axes = importer.ints(node, "axes", 3, range(len(starts)))
    steps = importer.ints(node, "steps", 4, [1] * len(starts))
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise UnsupportedError(f"{node.place}: {len(starts)} starts, {len(ends)} ends, {len(axes)} axes, steps {steps}")
    slices = [slice(None)] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # An end far below 0 means: down to the first element.
        slices[axis] = slice(start, None if step < 0 and end < -shape[axis] else end, step)
    ranges = [range(n)[s] for n, s in zip(shape, slices, strict=True)]
    if importer.is_constant(node, 0):
        held = importer.constant(node, 0, "data")
        if held.scale is not None:
            raise UnsupportedError(f"{node.place}: a slice of codes")
        importer.known(node, Constant(held.data[tuple(slices)]))
        return
    begin, count, stride = (tuple(f(r) for r in ranges) for f in (lambda r: r.start, len, lambda r: r.step))
    importer.emit(node, Slice(begin, count, stride), [importer.activation(node, 0)], keep=True)


def depth_to_space(importer: Importer, node: Node) -> None:
    """Blocks come from channels counted block first (DCR, the graph's own order) or channel first (CRD, PyTorch's)."""
    x = importer.map(node, 0)
    block = importer.ints(node, "blocksize", None)[0]
    n, h, w, c = importer.shape(x)
    if node.attributes.get("mode", b"DCR") == b"CRD" and block > 0 and c % (block * block) == 0:
        x = importer.reshaped(x, (n, h, w, c // (block * block), block * block))
        x = importer.reshaped(importer.transposed(x, (0, 1, 2, 4, 3)), (n, h, w, c))
    importer.emit(node, DepthToSpace(block), [x], importer.unmap(4), keep=True)


def space_to_depth(importer: Importer, node: Node) -> None:
    block = importer.ints(node, "blocksize", None)[0]
    importer.emit(node, SpaceToDepth(block), [importer.map(node, 0)], importer.unmap(4), keep=True)


def axis_of(importer: Importer, node: Node, default: int | None = None) -> int:
    """The attribute `axis`, counted from the front."""
    rank = len(importer.dimensions(node, 0))
    axis = importer.ints(node, "axis", None, None if default is None else (default,))[0]
    if not -rank <= axis < rank:
        raise UnsupportedError(f"{node.place}: axis {axis} of {rank} dimensions")
    return axis % rank


HANDLERS: dict[str, Handler] = {
    "Concat": concat,
    "Split": split,
    "Slice": cut,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
