"""One walk over an exported program: which value holds which tensor, and what belongs to an op."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UnsupportedError
from ...graph.builder import GraphBuilder
from ...graph.ir import Graph
from ...ops.base import Activation, Op
from ...ops.pad import Pad
from ...ops.transpose import Transpose
from ...types import Array, DType, Quant, TensorType
from .program import (
    BATCH_NORM,
    DEQUANTIZE,
    DEQUANTIZE_CHANNELS,
    LINEAR,
    QUANTIZE,
    SKIPPED,
    UNCHANGED,
    activation_of,
    arguments,
    attribute,
    flat,
    name,
    only_user,
    place,
    target,
)

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

NHWC = (0, 2, 3, 1)  # torch's axes in the order in which a map is stored
ROWS = (0, 1)
Pads = tuple[int, int, int, int]  # top, bottom, left, right


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A torch tensor in the graph: the value that holds it, and how its axes are stored.

    `order[s]` is torch's axis at stored axis s. A flattened map keeps the stored order; `columns` then gives, for each
    stored element, its index in torch's order. `pads` are owed: the next op must add them. `groups`: torch sees the
    channels as (groups, n), two axes of `order`; stored they are one.
    """

    value: str
    order: tuple[int, ...]
    columns: Array | None = None
    pads: Pads | None = None
    groups: int | None = None


@dataclasses.dataclass(frozen=True)
class Constant:
    """Floats, or codes: of weights with a scale per output channel (axis 0), of other operands with one for all."""

    data: Array
    scales: Array | None = None
    quant: Quant | None = None


class Importer:
    """The state of one import. `handlers` holds a function (importer, node) for each supported op."""

    def __init__(self, module: GraphModule, name: str, batch: int,
                 handlers: Mapping[str, Callable[[Importer, Node], None]]) -> None:
        self.module, self.batch, self.handlers = module, batch, handlers
        self.builder = GraphBuilder(name)
        self.tensors: dict[Node, Tensor] = {}
        self.constants: dict[Node, Constant] = {}
        self.done: set[Node] = set()  # batch norms, activations and quantize ops that went into the op before them
        self.quantized = any(target(n) == QUANTIZE for n in module.graph.nodes)

    def run(self, metadata: Mapping[str, str]) -> Graph:
        outputs: list[str] = []
        for node in self.module.graph.nodes:
            if node.op == "get_attr":
                self.constants[node] = Constant(attribute(self.module, node.target).detach().cpu().numpy())
            elif node.op == "placeholder":
                self._input(node)
            elif node.op == "output":
                outputs = [self._result(n) for n in flat(node.args[0])]
            elif node not in self.done and target(node) not in SKIPPED:
                self._call(node)
        return self.builder.build(outputs, metadata)

    # What handlers use

    def tensor(self, node: Node, argument: int) -> Tensor:
        """The activation that `node` takes as its argument of that number, with owed padding added."""
        return self.settled(self.seen(node, argument))

    def seen(self, node: Node, argument: int) -> Tensor:
        """The same, as it is: padding may be owed."""
        return self.activation(node.args[argument], node)

    def activation(self, source: Any, user: Node) -> Tensor:
        """The activation that `user` takes as `source`."""
        if source not in self.tensors:
            raise UnsupportedError(f"{place(user)}: an input of {target(user)} is no activation")
        return self.tensors[source]

    def settled(self, tensor: Tensor) -> Tensor:
        """`tensor` with owed padding added by an op of its own."""
        if tensor.pads is None:
            return tensor
        top, bottom, left, right = tensor.pads
        op = Pad(((0, 0), (top, bottom), (left, right), (0, 0)))
        return Tensor(self.same(op, [tensor.value]), tensor.order)

    def same(self, op: Op, inputs: list[str], label: str = "") -> str:
        """Adds an op whose output has the quantization of its first input; the name of its value."""
        quant = self.builder.type(inputs[0]).quant
        if quant is None:
            return self.builder.float(op, inputs, label)
        return self.builder.quantized(op, inputs, *quant.scalar, label)

    def map(self, node: Node, argument: int, may_owe_pads: bool = False) -> Tensor:
        """The same, where it must be a map, stored as NHWC; `may_owe_pads` leaves the padding to the op."""
        tensor = self.seen(node, argument)
        if len(tensor.order) != 4:
            raise UnsupportedError(f"{place(node)}: {target(node)} takes (N, C, H, W), which its input is not")
        if tensor.order != NHWC:
            return self.arranged(tensor, NHWC)
        return tensor if may_owe_pads else self.settled(tensor)

    def arranged(self, tensor: Tensor, order: tuple[int, ...]) -> Tensor:
        """`tensor` stored in another order of axes."""
        tensor = self.settled(tensor)
        if tensor.order == order:
            return tensor
        axes = tuple(tensor.order.index(a) for a in order)
        return Tensor(self.same(Transpose(axes), [tensor.value]), order)

    def known(self, operand: Any) -> Constant | None:
        """An operand that is a number or a constant tensor; None where it is computed."""
        if isinstance(operand, (int, float)):
            return Constant(np.array(operand, np.float32))
        return self.constants.get(operand)

    def beside(self, constant: Constant, tensor: Tensor, user: Node) -> str:
        """Adds a constant operand, which torch repeats to fit, as `tensor` stores its axes; the name of its value."""
        if self.quantized and constant.quant is None:
            raise UnsupportedError(f"{place(user)}: a float constant in a quantized program; quantize it too")
        rank = len(tensor.order)
        data = np.asarray(constant.data)
        if data.ndim > rank or tensor.groups is not None or (data.ndim == rank and data.shape[0] != 1):
            raise UnsupportedError(f"{place(user)}: {target(user)} with a constant of shape {data.shape}, which cannot "
                                   f"be repeated for every sample")
        spread = data.reshape((1,) * (rank - data.ndim) + data.shape).transpose(tensor.order)
        if tensor.columns is not None and spread.shape[1] > 1:
            spread = spread[:, tensor.columns]
        kept = spread if constant.quant is not None else spread.astype(np.float32)
        return self.builder.constant(f"{name(user)}_constant", kept, constant.quant)

    def constant(self, node: Any, user: Node) -> Constant:
        """The constant that `user` takes as `node`."""
        if node not in self.constants:
            raise UnsupportedError(f"{place(user)}: {target(user)} with weights that are computed at run time")
        return self.constants[node]

    def chain(self, node: Node) -> tuple[Node, Node | None, Activation]:
        """(the last node of `node` and what belongs to it, its batch norm, its activation)."""
        end, norm, activation = node, None, Activation.NONE
        user = only_user(end)
        if user is not None and target(user) == BATCH_NORM and target(node) in LINEAR:
            end = norm = user
            self.done.add(user)
            user = only_user(end)
        if user is not None and activation_of(user) is not Activation.NONE:
            end, activation = user, activation_of(user)
            self.done.add(user)
        return end, norm, activation

    def emit(self, node: Node, end: Node, op: Op, inputs: list[str], order: tuple[int, ...],
             columns: Array | None = None) -> None:
        """Adds the op of `node`; its output is that of `end` (its activation, maybe) and of the quantize behind it."""
        if self.quantized:
            quantize = only_user(end)
            if quantize is None or target(quantize) != QUANTIZE:
                raise UnsupportedError(f"{place(end)}: the output of {target(end)} is not quantized; "
                                       f"quantize the whole program")
            value = self.builder.quantized(op, inputs, *self._quant(quantize).scalar, name(node))
            self.done.add(quantize)
            self.tensors[quantize] = Tensor(value, order, columns)
        else:
            value = self.builder.float(op, inputs, name(node))
        self.tensors[node] = self.tensors[end] = Tensor(value, order, columns)

    def rename(self, node: Node, tensor: Tensor) -> None:
        """`node` computes nothing: it is `tensor`, and a quantize behind it must repeat that tensor's quantization."""
        self.tensors[node] = tensor
        user = only_user(node)
        if not self.quantized or user is None or target(user) != QUANTIZE:
            return
        if self._quant(user) != self.builder.type(tensor.value).quant:
            raise UnsupportedError(f"{place(node)}: {target(node)} with an output of another quantization than its "
                                   f"input; share it")
        self.tensors[user] = tensor
        self.done.add(user)

    def weights(self, label: str, data: Array, scales: Array | None, axis: int, node: Node) -> str:
        """Adds a constant; the name of its value."""
        if self.quantized and scales is None:
            raise UnsupportedError(f"{place(node)}: weights or bias are float or not symmetric in a quantized program; "
                                   f"biases belong on the int32 grid input scale * weight scale")
        return self.builder.constant(label, data, None if scales is None else Quant.per_channel(scales, axis))

    def folded(self, norm: Node, weight: Constant, bias: Constant | None) -> tuple[Constant, Constant]:
        """Weights and bias with the batch normalization behind them folded in."""
        factor, offset = self.normalization(norm)
        shape = (-1, *(1,) * (weight.data.ndim - 1))
        start = bias.data.astype(np.float64) if bias is not None else 0.0
        data = (weight.data * factor.reshape(shape)).astype(np.float32)
        return Constant(data), Constant((start * factor + offset).astype(np.float32))

    def normalization(self, norm: Node) -> tuple[Array, Array]:
        """(factor, offset), each (C,) float64, that a batch normalization puts on its channels."""
        names = ("input", "weight", "bias", "mean", "var", "training", "momentum", "eps")
        given = arguments(norm, names)
        if self.quantized or given.get("training", False):
            raise UnsupportedError(f"{place(norm)}: batch normalization in a quantized or a training program; "
                                   f"fold it first (eval mode)")
        mean, var = (self.constant(given.get(n), norm).data.astype(np.float64) for n in names[3:5])
        gamma, beta = (self.constant(given[n], norm).data.astype(np.float64) if n in given else np.full(len(mean), v)
                       for n, v in (("weight", 1.0), ("bias", 0.0)))
        factor = gamma / np.sqrt(var + float(given["eps"]))
        return factor, beta - mean * factor

    # The walk

    def _input(self, node: Node) -> None:
        shape = tuple(int(d) for d in node.meta["val"].shape[1:])
        order = NHWC if len(shape) == 3 else tuple(range(len(shape) + 1))
        stored = (self.batch, *(shape[a - 1] for a in order[1:]))
        if not self.quantized:
            self.tensors[node] = Tensor(self.builder.input(node.name, TensorType(stored, DType.FLOAT32)), order)
            return
        quantize = only_user(node)
        if quantize is None or target(quantize) != QUANTIZE:
            raise UnsupportedError(f"the input {node.name} is not quantized; quantize the whole program")
        value = self.builder.input(node.name, TensorType(stored, DType.INT8, self._quant(quantize)))
        self.tensors[node] = self.tensors[quantize] = Tensor(value, order)
        self.done.add(quantize)

    def _call(self, node: Node) -> None:
        op = target(node)
        if op in UNCHANGED:
            self.rename(node, self.seen(node, 0))
        elif op == DEQUANTIZE:
            self._dequantize(node)
        elif op == DEQUANTIZE_CHANNELS:
            codes, scales, zero_points = (self.constant(a, node).data for a in node.args[:3])
            self._symmetric(node, zero_points, node.args[3])
            self.constants[node] = Constant(codes, scales)
        elif op in self.handlers:
            self.handlers[op](self, node)
        else:
            known = ", ".join(sorted({*self.handlers, *UNCHANGED, BATCH_NORM, QUANTIZE, DEQUANTIZE,
                                      DEQUANTIZE_CHANNELS}))
            raise UnsupportedError(f"{place(node)}: the op {op} is not supported here; supported: {known}")

    def _dequantize(self, node: Node) -> None:
        source, scale, zero_point = node.args[:3]
        if source in self.constants:  # an operand, or weights with one scale for all
            codes = self.constants[source].data  # type: ignore[index]
            scales = np.full(codes.shape[0], scale, np.float32) if codes.ndim and not zero_point else None
            self.constants[node] = Constant(codes, scales, self._quant(node))
            return
        tensor = self.seen(node, 0)
        if self._quant(node) != self.builder.type(tensor.value).quant:
            raise UnsupportedError(f"{place(node)}: a dequantization with other parameters than the quantization")
        self.tensors[node] = tensor

    def _symmetric(self, node: Node, zero_points: Array, axis: Any) -> None:
        if zero_points.any() or axis != 0:
            raise UnsupportedError(f"{place(node)}: weights must be symmetric, with a scale per output channel")

    def _result(self, node: Node) -> str:
        tensor = self.settled(self.tensors[node])
        if tensor.columns is not None:
            raise UnsupportedError(f"{place(node)}: an output flattened in NCHW order; return the map itself")
        return tensor.value

    def _quant(self, node: Node) -> Quant:
        """The quantization that a quantize or dequantize node of an activation applies."""
        scale, zero_point, low, high = (float(a) for a in node.args[1:5])  # type: ignore[arg-type]
        if (low, high) != (-128, 127):
            raise UnsupportedError(f"{place(node)}: codes from {low:g} to {high:g}; int8 takes -128 to 127")
        return Quant.per_tensor(scale, int(zero_point))
