"""Ops of single elements, and softmax."""

from __future__ import annotations

from ...errors import UnsupportedError
from ...ops.add import Add
from ...ops.base import Activation
from ...ops.relu import Relu
from ...ops.relu6 import Relu6
from ...ops.softmax import Softmax
from .importer import Handler, Importer
from .moves import arithmetic
from .program import Node


def add(importer: Importer, node: Node) -> None:
    if arithmetic(importer, node):
        return
    a, b = (importer.activation(node, k) for k in range(2))
    importer.emit(node, Add(), [a, b])


def clamp(importer: Importer, node: Node) -> None:
    """An activation that no op before it could take in. Clip keeps its codes, as TFLite's RELU6 does."""
    kind = importer.activation_of(node)
    x = importer.activation(node, 0)
    if kind is Activation.NONE:
        importer.alias(node)
    elif kind is Activation.RELU:
        importer.emit(node, Relu(), [x])
    elif kind is Activation.RELU6:
        importer.emit(node, Relu6(), [x], keep=True)
    else:
        raise UnsupportedError(f"{node.place}: only 0 to 6 and 0 to infinity are supported")


def softmax(importer: Importer, node: Node) -> None:
    x = importer.activation(node, 0)
    shape = importer.shape(x)
    rank = len(shape)
    old = importer.program.opset < 13
    axis = int(node.attributes.get("axis", 1 if old else -1)) % rank
    if old and axis < rank - 1 and any(n > 1 for n in shape[axis + 1 :]):
        raise UnsupportedError(f"{node.place}: softmax over several dimensions of {shape}")
    if axis == rank - 1:
        importer.emit(node, Softmax(), [x])
        return
    axes = (*(k for k in range(rank) if k != axis), axis)
    back = tuple(axes.index(k) for k in range(rank))
    importer.emit(node, Softmax(), [importer.transposed(x, axes)], lambda v: importer.transposed(v, back))


HANDLERS: dict[str, Handler] = {
    "Add": add,
    "Relu": clamp,
    "Clip": clamp,
    "Softmax": softmax,
}
