"""How each op takes an input that is another value, reordered: one rule each, in `RULES`.

A rule writes the node on the values behind its inputs, and says how its result is reordered; or does nothing and gives
False, and the movement is done before the node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...ops._binary import Binary
from ...ops._pool import Pool2D
from ...ops._reduce import Reduce
from ...ops._resize import Resize
from ...ops._unary import Unary
from ...ops.concat import Concat
from ...ops.conv2d import Conv2D
from ...ops.depthwise_conv2d import DepthwiseConv2D
from ...ops.fully_connected import FullyConnected
from ...ops.pad import Pad
from ...ops.slice import Slice
from ...ops.softmax import Softmax
from ...types import Array, Quant, Shape
from ..ir import Node, Value
from ._movement import Movement

if TYPE_CHECKING:
    from .fold_movement import Sinker


class Put(NamedTuple):
    """A value of the new graph, reordered."""

    base: str
    movement: Movement


Rule = Callable[["Sinker", Node], bool]


def elementwise(sinker: Sinker, node: Node) -> bool:
    """All inputs of the output's shape, or spread to it: the same movement of each."""
    target = sinker.graph.type(node.outputs[0]).shape
    puts = [sinker.put(n) for n in node.inputs]
    full = [p.movement for n, p in zip(node.inputs, puts, strict=True) if sinker.graph.type(n).shape == target]
    leading = next((m for m in full if not m.is_identity), None)
    if leading is None:
        return False
    inputs = []
    for name, put in zip(node.inputs, puts, strict=True):
        value = sinker.graph.values[name]
        taken = _constant(sinker, value, leading) if value.is_constant else _activation(sinker, put, leading)
        if taken is None:
            return False
        inputs.append(taken)
    sinker.write(node, inputs, leading)
    return True


def _activation(sinker: Sinker, put: Put, leading: Movement) -> str | None:
    """The value behind an operand where its movement is that of the leading one."""
    own = put.movement
    if own.target == leading.target:
        same = (own.digits, own.order) == (leading.digits, leading.order)
        return sinker.viewed(put, leading.source) if same else None
    axes = leading.axes
    if axes is None or len(own.target) != len(leading.target):
        return None
    source = tuple(own.target[axes.index(k)] for k in range(len(axes)))
    moved = Movement.identity(source).transposed(axes)
    same = moved is not None and (own.digits, own.order) == (moved.digits, moved.order)
    return sinker.viewed(put, source) if same else None


def _constant(sinker: Sinker, value: Value, leading: Movement) -> str | None:
    """A constant operand for the reordered computation: spread, reordered back, and narrowed where it repeats."""
    assert value.data is not None
    quant = value.type.quant
    if quant is not None and quant.axis is not None:
        return None
    if value.data.size == 1:
        return value.name
    data = leading.inverse.apply(np.broadcast_to(value.data, leading.target))
    for axis in range(data.ndim):
        first = np.take(data, [0], axis)
        if (data == first).all():
            data = first
    return sinker.constant(value.name, np.ascontiguousarray(data), quant)


def pool(sinker: Sinker, node: Node) -> bool:
    """A pool or a resize takes each channel for itself, so a shuffle may come after it."""
    return _shuffled(sinker, node, list(node.inputs[1:]))


def _shuffled(sinker: Sinker, node: Node, others: list[str]) -> bool:
    put = sinker.put(node.inputs[0])
    after = put.movement.on(sinker.graph.type(node.outputs[0]).shape)
    if after is None:
        return False
    sinker.write(node, [put.base, *others], after)
    return True


def pad(sinker: Sinker, node: Node) -> bool:
    """Padding of the axes behind; or of height and width of a shuffled map."""
    assert isinstance(node.op, Pad)
    put = sinker.put(node.inputs[0])
    axes = put.movement.axes
    if axes is None:
        return node.op.padding[-1] == (0, 0) and _shuffled(sinker, node, [])
    padding = tuple(node.op.padding[axes.index(k)] for k in range(len(axes)))
    source = tuple(n + sum(p) for n, p in zip(put.movement.source, padding, strict=True))
    return _along(sinker, node, put, source, axes, padding=padding)


def reduce(sinker: Sinker, node: Node) -> bool:
    """Over the axes behind; those that are left keep their order, or are transposed after it."""
    assert isinstance(node.op, Reduce)
    put = sinker.put(node.inputs[0])
    axes = put.movement.axes
    if axes is None:
        return len(put.movement.target) - 1 not in node.op.axes and node.op.keep_dims and _shuffled(sinker, node, [])
    reduced = tuple(sorted(axes[a] for a in node.op.axes))
    if node.op.keep_dims:
        source = tuple(1 if k in reduced else n for k, n in enumerate(put.movement.source))
        return _along(sinker, node, put, source, axes, axes=reduced)
    left = [k for k in range(len(axes)) if k not in reduced]
    order = tuple(left.index(axes[a]) for a in range(len(axes)) if a not in node.op.axes)
    source = tuple(put.movement.source[k] for k in left)
    return _along(sinker, node, put, source, order, axes=reduced)


def _along(
    sinker: Sinker, node: Node, put: Put, source: Shape, order: tuple[int, ...], **attributes: object
) -> bool:
    """The node along other axes; its result is of the shape `source`, then transposed to `order`."""
    movement = Movement.identity(source).transposed(order)
    assert movement is not None
    sinker.write(node, [put.base], movement, **attributes)
    return True


def concat(sinker: Sinker, node: Node) -> bool:
    """Joined along the axis behind, where all parts are transposed alike."""
    assert isinstance(node.op, Concat)
    puts = [sinker.put(n) for n in node.inputs]
    axes = next((p.movement.axes for p in puts if p.movement.axes is not None), None)
    if axes is None:
        return False
    inputs = []
    for name, put in zip(node.inputs, puts, strict=True):
        source = tuple(put.movement.target[axes.index(k)] for k in range(len(axes)))
        moved = Movement.identity(source).transposed(axes)
        assert moved is not None
        value = sinker.graph.values[name]
        if value.data is not None:
            data = np.ascontiguousarray(moved.inverse.apply(value.data))
            inputs.append(sinker.constant(name, data, value.type.quant))
        elif (moved.digits, moved.order) == (put.movement.digits, put.movement.order):
            inputs.append(sinker.viewed(put, source))
        else:
            return False
    target = sinker.graph.type(node.outputs[0]).shape
    whole = Movement.identity(tuple(target[axes.index(k)] for k in range(len(axes)))).transposed(axes)
    assert whole is not None
    sinker.write(node, inputs, whole, axis=axes[node.op.axis])
    return True


def cut(sinker: Sinker, node: Node) -> bool:
    """A slice of the axes behind; none may be dropped."""
    assert isinstance(node.op, Slice)
    put = sinker.put(node.inputs[0])
    axes = put.movement.axes
    if axes is None or node.op.dropped:
        return False
    begin, count, stride = (
        tuple(values[axes.index(k)] for k in range(len(axes)))
        for values in (node.op.begin, node.op.count, node.op.stride)
    )
    return _along(sinker, node, put, count, axes, begin=begin, count=count, stride=stride)


def softmax(sinker: Sinker, node: Node) -> bool:
    """Over the last dimension: whole rows may be anywhere."""
    put = sinker.put(node.inputs[0])
    classes = put.movement.target[-1]
    rows = put.movement.viewed((math.prod(put.movement.source[:-1]), classes))
    stays = put.movement.source[-1] == classes and (rows.is_reshape or rows.order[-1] == len(rows.order) - 1)
    if not stays or (not rows.is_reshape and rows.digits[-1] % classes):
        return False
    sinker.write(node, [put.base], put.movement)
    return True


def conv(sinker: Sinker, node: Node) -> bool:
    """A channel shuffle moves into the input channels of the weights; between groups it cannot."""
    assert isinstance(node.op, Conv2D)
    put = sinker.put(node.inputs[0])
    channels = put.movement.channels
    if channels is None:
        return False
    w = sinker.graph.values[node.inputs[1]]
    assert w.data is not None
    within = channels.reshape(node.op.groups, -1)
    size = within.shape[1]
    if (within // size != np.arange(node.op.groups)[:, None]).any():
        return False
    back = np.argsort(within, axis=1)  # (groups, channels of one)
    data = np.take_along_axis(w.data, back[node.op.owners(len(w.data))][:, None, None, :], axis=3)
    weight = sinker.constant(w.name, data, w.type.quant)
    out = sinker.graph.type(node.outputs[0]).shape
    sinker.write(node, [put.base, weight, *node.inputs[2:]], Movement.identity(out))
    return True


def depthwise(sinker: Sinker, node: Node) -> bool:
    """Filters in the order behind the shuffle; the shuffle comes after it."""
    assert isinstance(node.op, DepthwiseConv2D)
    channels = sinker.put(node.inputs[0]).movement.channels
    if channels is None or node.op.multiplier != 1:
        return False
    back = np.argsort(channels)
    constants = []
    for name in node.inputs[1:]:
        value = sinker.graph.values[name]
        assert value.data is not None
        constants.append(sinker.constant(name, value.data[..., back], _reordered(value, back)))
    return _shuffled(sinker, node, constants)


def _reordered(value: Value, channels: Array) -> Quant | None:
    """The quantization of a constant whose last dimension is reordered."""
    quant = value.type.quant
    if quant is None or quant.axis is None:
        return quant
    return Quant(
        tuple(quant.scale[k] for k in channels), tuple(quant.zero_point[k] for k in channels), quant.axis
    )


def fully_connected(sinker: Sinker, node: Node) -> bool:
    """Any movement that keeps to its row becomes an order of the weights' columns."""
    assert isinstance(node.op, FullyConnected)
    put = sinker.put(node.inputs[0])
    w = sinker.graph.values[node.inputs[1]]
    assert w.data is not None
    columns = w.data.shape[1]
    elements = np.arange(math.prod(put.movement.source)).reshape(put.movement.source)
    rows = put.movement.apply(elements).reshape(-1, columns)
    if (rows - columns * np.arange(len(rows))[:, None] != rows[0]).any() or rows[0].max() >= columns:
        return False
    weight = node.inputs[1]
    if not put.movement.is_reshape:
        weight = sinker.constant(w.name, w.data[:, np.argsort(rows[0])], w.type.quant)
    shape = (len(rows), len(w.data))
    after = Movement.identity(shape).reshaped(sinker.graph.type(node.outputs[0]).shape)
    attributes: dict[str, Any] = {"keep_dims": False} if node.op.keep_dims else {}
    sinker.write(node, [put.base, weight, *node.inputs[2:]], after, **attributes)
    return True


RULES: Mapping[type[Any], Rule] = {
    Unary: elementwise,
    Binary: elementwise,
    Concat: concat,
    Slice: cut,
    Pool2D: pool,
    Pad: pad,
    Reduce: reduce,
    Resize: pool,
    Softmax: softmax,
    Conv2D: conv,
    DepthwiseConv2D: depthwise,
    FullyConnected: fully_connected,
}
