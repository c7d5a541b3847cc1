"""How ops of single elements and of pairs enter the graph; one of a pair may be a constant."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from ...ops._binary import Binary
from ...ops._unary import Unary
from ...ops.abs import Abs
from ...ops.add import Add
from ...ops.base import Activation, Op
from ...ops.elu import Elu
from ...ops.hard_swish import HardSwish
from ...ops.leaky_relu import LeakyRelu
from ...ops.logistic import Logistic
from ...ops.mul import Mul
from ...ops.prelu import Prelu
from ...ops.relu import Relu
from ...ops.relu6 import Relu6
from ...ops.sub import Sub
from ...ops.tanh import Tanh
from ...types import Array
from .importer import Constant, Importer, Tensor
from .program import BATCH_NORM, CLAMPS, RELU, RELU6, activation_of, arguments, place, target

if TYPE_CHECKING:
    from torch.fx import Node

PAIRS: dict[str, Callable[[Activation], Binary]] = {"add": Add, "add_": Add, "sub": Sub, "mul": Mul, "mul_": Mul}
SINGLES: dict[str, type[Unary]] = {
    "aten.hardswish.default": HardSwish,
    "aten.hardswish_.default": HardSwish,
    "aten.sigmoid.default": Logistic,
    "aten.tanh.default": Tanh,
    "aten.abs.default": Abs,
}


def pair(importer: Importer, node: Node) -> None:
    """A sum, difference or product of two tensors, or of one and a constant."""
    given = arguments(node, ("input", "other", "alpha"))
    if given.get("alpha", 1) != 1:
        raise UnsupportedError(f"{place(node)}: {target(node)} with alpha {given['alpha']}; only 1 is supported")
    op = PAIRS[target(node).split(".")[1]]
    reference, values = _pair(importer, node, [given["input"], given["other"]])
    end, _, fused = importer.chain(node)
    importer.emit(node, end, op(fused), values, reference.order, reference.columns)


def divide(importer: Importer, node: Node) -> None:
    """By a constant of floats: the product with its inverse."""
    divisor = importer.known(node.args[1])
    if divisor is None or importer.quantized:
        raise UnsupportedError(f"{place(node)}: {target(node)}; only by a constant, in a float program")
    with np.errstate(divide="ignore"):
        inverse = Constant(np.asarray(1 / divisor.data, np.float32))
    source = importer.tensor(node, 0)
    importer.emit(node, node, Mul(), [source.value, importer.beside(inverse, source, node)], source.order,
                  source.columns)


def _pair(importer: Importer, node: Node, given: list[Any]) -> tuple[Tensor, list[str]]:
    """An activation among two operands that stands for the order of axes, and the values of both."""
    operands = [importer.known(g) or importer.settled(importer.activation(g, node)) for g in given]
    found = [t for t in operands if isinstance(t, Tensor)]
    if not found:
        raise UnsupportedError(f"{place(node)}: {target(node)} of two constants")
    first = found[0]
    if any(t.order != first.order or not _equal(t.columns, first.columns) for t in found):
        shapes = " and ".join(str(importer.builder.shape(t.value)) for t in found)
        raise UnsupportedError(f"{place(node)}: {target(node)} of {shapes} in different orders of axes")
    return first, [t.value if isinstance(t, Tensor) else importer.beside(t, first, node) for t in operands]


def prelu(importer: Importer, node: Node) -> None:
    """A slope for all channels, or one for each: torch's axis 1."""
    source, slope = importer.tensor(node, 0), importer.known(node.args[1])
    if slope is None:
        raise UnsupportedError(f"{place(node)}: {target(node)} with slopes that are computed at run time")
    spread = slope.data.reshape(-1, *(1,) * (len(source.order) - 2))
    value = importer.beside(dataclasses.replace(slope, data=spread), source, node)
    importer.emit(node, node, Prelu(), [source.value, value], source.order, source.columns)


def single(importer: Importer, node: Node) -> None:
    _emit(importer, node, SINGLES[target(node)]())


def leaky(importer: Importer, node: Node) -> None:
    _emit(importer, node, LeakyRelu(float(arguments(node, ("input", "slope")).get("slope", 0.01))))


def elu(importer: Importer, node: Node) -> None:
    if any(v != 1 for v in node.args[1:]):
        raise UnsupportedError(f"{place(node)}: {target(node)} with {node.args[1:]}; only alpha 1 is supported")
    _emit(importer, node, Elu())


def activation(importer: Importer, node: Node) -> None:
    """An activation that no op before it could take in."""
    op = {Activation.RELU: Relu, Activation.RELU6: Relu6}.get(activation_of(node))
    if op is None:
        raise UnsupportedError(f"{place(node)}: {target(node)} over {node.args[1:]}; only 0 to 6 is supported")
    _emit(importer, node, op())


def _emit(importer: Importer, node: Node, op: Op) -> None:
    source = importer.tensor(node, 0)
    importer.emit(node, node, op, [source.value], source.order, source.columns)


def silu(importer: Importer, node: Node) -> None:
    """x * sigmoid(x)."""
    source = _float(importer, node)
    gate = importer.builder.float(Logistic(), [source.value], f"{node.name}_gate")
    importer.emit(node, node, Mul(), [source.value, gate], source.order, source.columns)


def hard_sigmoid(importer: Importer, node: Node) -> None:
    """relu6(x + 3) / 6."""
    source = _float(importer, node)
    three, sixth = (importer.beside(Constant(np.array(v, np.float32)), source, node) for v in (3, 1 / 6))
    gate = importer.builder.float(Add(Activation.RELU6), [source.value, three], f"{node.name}_gate")
    importer.emit(node, node, Mul(), [gate, sixth], source.order, source.columns)


def batch_norm(importer: Importer, node: Node) -> None:
    """One that no op before it could take in: a product and a sum for each channel."""
    source = _float(importer, node)
    factor, offset = importer.normalization(node)
    shape = (-1, *(1,) * (len(source.order) - 2))
    values = [importer.beside(Constant(c.astype(np.float32).reshape(shape)), source, node) for c in (factor, offset)]
    scaled = importer.builder.float(Mul(), [source.value, values[0]], f"{node.name}_scale")
    end, _, fused = importer.chain(node)
    importer.emit(node, end, Add(fused), [scaled, values[1]], source.order, source.columns)


def _float(importer: Importer, node: Node) -> Tensor:
    if importer.quantized:
        raise UnsupportedError(f"{place(node)}: {target(node)} in a quantized program; quantize its parts")
    return importer.tensor(node, 0)


def _equal(a: Array | None, b: Array | None) -> bool:
    return a is b or (a is not None and b is not None and np.array_equal(a, b))


ELEMENTWISE: dict[str, Callable[[Importer, Node], None]] = {
    **{f"aten.{name}.Tensor": pair for name in PAIRS},
    **dict.fromkeys(SINGLES, single),
    **dict.fromkeys((*RELU, *CLAMPS, *RELU6), activation),
    **dict.fromkeys(("aten.leaky_relu.default", "aten.leaky_relu_.default"), leaky),
    **dict.fromkeys(("aten.elu.default", "aten.elu_.default"), elu),
    **dict.fromkeys(("aten.silu.default", "aten.silu_.default"), silu),
    **dict.fromkeys(("aten.hardsigmoid.default", "aten.hardsigmoid_.default"), hard_sigmoid),
    "aten.div.Tensor": divide,
    "aten.prelu.default": prelu,
    BATCH_NORM: batch_norm,
}
