"""Ops of single elements or of pairs, and softmax."""

from __future__ import annotations

import numpy as np

from ...errors import UnsupportedError
from ...ops._binary import Binary
from ...ops._unary import Unary
from ...ops.abs import Abs
from ...ops.add import Add
from ...ops.base import Activation
from ...ops.elu import Elu
from ...ops.hard_swish import HardSwish
from ...ops.leaky_relu import LeakyRelu
from ...ops.logistic import Logistic
from ...ops.maximum import Maximum
from ...ops.minimum import Minimum
from ...ops.mul import Mul
from ...ops.prelu import Prelu
from ...ops.relu import Relu
from ...ops.relu6 import Relu6
from ...ops.softmax import Softmax
from ...ops.sub import Sub
from ...ops.tanh import Tanh
from .constants import real
from .importer import Handler, Importer, label
from .moves import arithmetic
from .program import Node

PAIRS: dict[str, type[Binary]] = {
    "Add": Add,
    "Sub": Sub,
    "Mul": Mul,
    "Max": Maximum,
    "Min": Minimum,
    "PRelu": Prelu,
}
SINGLES: dict[str, type[Unary]] = {
    "Sigmoid": Logistic,
    "Tanh": Tanh,
    "HardSwish": HardSwish,
    "Abs": Abs,
}


def pair(importer: Importer, node: Node) -> None:
    if node.op in ("Add", "Sub", "Mul") and arithmetic(importer, node):
        return
    if len(node.inputs) != 2:
        raise UnsupportedError(f"{node.place} of {len(node.inputs)} operands; 2 are supported")
    importer.emit(node, PAIRS[node.op](), [importer.activation(node, k) for k in range(2)])


def divide(importer: Importer, node: Node) -> None:
    """By a constant of floats: the product with its inverse."""
    if arithmetic(importer, node):
        return
    x = importer.activation(node, 0)
    if importer.is_quantized(x):
        raise UnsupportedError(f"{node.place} in a quantized model; multiply by the inverse instead")
    divisor = real(node, importer.constant(node, 1, "the divisor"))
    with np.errstate(divide="ignore"):
        inverse = importer.builder.constant(f"{label(node)}_inverse", np.array(1 / divisor, np.float32))
    importer.emit(node, Mul(), [x, inverse])


def single(importer: Importer, node: Node) -> None:
    importer.emit(node, SINGLES[node.op](), [importer.activation(node, 0)])


def leaky(importer: Importer, node: Node) -> None:
    importer.emit(node, LeakyRelu(float(node.attributes.get("alpha", 0.01))), [importer.activation(node, 0)])


def elu(importer: Importer, node: Node) -> None:
    if node.attributes.get("alpha", 1.0) != 1:
        raise UnsupportedError(f"{node.place}: alpha {node.attributes['alpha']}; only 1 is supported")
    importer.emit(node, Elu(), [importer.activation(node, 0)])


def hard_sigmoid(importer: Importer, node: Node) -> None:
    """relu6(x + 3) / 6, which is what MobileNetV3 takes for it; of real values alone."""
    slope, offset = float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))
    x = importer.activation(node, 0)
    if importer.is_quantized(x) or abs(slope - 1 / 6) > 1e-6 or offset != 0.5:
        raise UnsupportedError(f"{node.place}: {slope:g} x + {offset:g}; only x / 6 + 0.5 of real values is supported")
    three, sixth = (importer.builder.constant(f"{label(node)}_{word}", np.array(value, np.float32))
                    for word, value in (("three", 3), ("sixth", 1 / 6)))
    gate = importer.builder.float(Add(Activation.RELU6), [x, three], f"{label(node)}_gate")
    importer.emit(node, Mul(), [gate, sixth])


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
    **dict.fromkeys(PAIRS, pair),
    **dict.fromkeys(SINGLES, single),
    "Div": divide,
    "LeakyRelu": leaky,
    "Elu": elu,
    "HardSigmoid": hard_sigmoid,
    "Relu": clamp,
    "Clip": clamp,
    "Softmax": softmax,
}
