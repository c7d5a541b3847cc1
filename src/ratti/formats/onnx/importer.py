"""One walk over an ONNX program: which value of the graph holds which tensor, and with which quantization.

Values keep ONNX's order of dimensions; where an op of the graph wants (N, H, W, C), a transpose stands in front of it
and another behind. Passes take them out again. A quantized model computes floats between DequantizeLinear and
QuantizeLinear; here an op's output is int8 at once, in the codes of the QuantizeLinear behind it. uint8 codes become
int8 ones less 128, and so do their zero points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...errors import FormatError, UnsupportedError
from ...graph.builder import GraphBuilder
from ...graph.ir import Graph
from ...ops.base import Activation, Op, Operand
from ...ops.requantize import Requantize
from ...ops.reshape import Reshape
from ...ops.transpose import Transpose
from ...types import Array, DType, Quant, Shape, TensorType
from .constants import Constant, int8_codes, real, shift_of
from .program import Node, Program, short

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
FIXED = (Quant.per_tensor(1 / 256, -128), Quant.per_tensor(1 / 128, 0))  # of ops that bring their own
PROBE = Quant.per_tensor(0.37, 7)  # which those ops refuse
MOVES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Dropout")
MOST_READERS = 64  # of an input that are looked at
MOST_ELEMENTS = 1 << 24  # of an activation


Handler = Callable[["Importer", Node], None]


class Importer:
    """The state of one import. With `inputs_last` inputs of 3 and more dimensions are given with channels last, with
    `outputs_last` outputs; transposes stand between them and the program.
    """

    def __init__(self, program: Program, name: str, handlers: Mapping[str, Handler], inputs_last: bool,
                 outputs_last: bool) -> None:
        self.program, self.builder = program, GraphBuilder(name)
        self._handlers, self._inputs_last, self._outputs_last = handlers, inputs_last, outputs_last
        self._values: dict[str, str] = {}
        self._constants = {n: Constant(data) for n, data in program.constants.items()}
        self._users: dict[str, list[Node]] = {}
        for node in program.nodes:
            for name_ in set(node.inputs):
                self._users.setdefault(name_, []).append(node)
        self._done: set[int] = set()  # activations that went into the op before them, by identity
        self._transposed: list[str] = []

    def run(self) -> Graph:
        for port in self.program.inputs:
            shape = tuple(1 if k == 0 and n is None else n for k, n in enumerate(port.shape))
            if None in shape:
                raise UnsupportedError(
                    f"input '{short(port.name)}' has the shape {port.shape}; every dimension but the first must be "
                    f"fixed when the model is exported"
                )
            self._input(port.name, port.dtype, tuple(n for n in shape if n is not None))
        for node in self.program.nodes:
            if id(node) not in self._done:
                self._call(node)
        outputs = [self._output(name) for name in self.program.outputs]
        metadata = {"channels_last": " ".join(self._transposed)} if self._transposed else {}
        return self.builder.build(outputs, metadata)

    # What handlers use: operands

    def activation(self, node: Node, k: int) -> str:
        """The value that holds operand `k`; a constant becomes one."""
        name = self._operand(node, k)
        if name not in self._values:
            if name not in self._constants:
                raise FormatError(f"{node.place} reads '{short(name)}', which is not computed before it")
            self._values[name] = self._added(name, self._constants[name], node)
        return self._values[name]

    def constant(self, node: Node, k: int, what: str) -> Constant:
        """Operand `k`, which must be known when the model is read."""
        name = self._operand(node, k)
        if name not in self._constants:
            raise UnsupportedError(f"{node.place}: {what} must be constant, '{short(name)}' is computed at run time")
        return self._constants[name]

    def optional(self, node: Node, k: int, what: str) -> Array | None:
        """The numbers of operand `k`, None where it is left out."""
        return self.constant(node, k, what).data if self.has(node, k) else None

    def has(self, node: Node, k: int) -> bool:
        return k < len(node.inputs) and bool(node.inputs[k])

    def is_constant(self, node: Node, k: int) -> bool:
        return self.has(node, k) and node.inputs[k] in self._constants

    def ints(self, node: Node, name: str, k: int | None, default: Sequence[int] | None = None) -> tuple[int, ...]:
        """Whole numbers that are an attribute in old operator sets and operand `k` in new ones."""
        given = node.attributes.get(name)
        if given is None and k is not None and self.has(node, k):
            given = self.constant(node, k, name).data
        if given is None:
            if default is None:
                raise FormatError(f"{node.place} has no {name}")
            return tuple(default)
        values = np.asarray(given).ravel()
        if values.dtype.kind not in "iu" or values.size > 1024:
            raise FormatError(f"{node.place}: {name} must be a few whole numbers")
        return tuple(int(v) for v in values)

    def dimensions(self, node: Node, k: int) -> Shape:
        """The shape of operand `k`, whether it is constant or not."""
        name = self._operand(node, k)
        return self._constants[name].data.shape if name in self._constants else self.shape(self.activation(node, k))

    def users(self, name: str) -> Sequence[Node]:
        """The nodes that read a tensor of the program."""
        return self._users.get(name, [])

    def shape(self, value: str) -> Shape:
        return self.builder.shape(value)

    def is_quantized(self, value: str) -> bool:
        return self.builder.type(value).dtype is not DType.FLOAT32

    # What handlers use: ops

    def emit(self, node: Node, op: Op, inputs: Sequence[str], then: Callable[[str], str] | None = None,
             keep: bool = False) -> None:
        """Adds `op` as what `node` computes; `then` adds what brings its result into ONNX's order.

        In a quantized model the output takes the codes of the QuantizeLinear behind it, and an activation between them
        becomes part of the op; with `keep` it has those of the input.
        """
        end = node.outputs[0]
        quant = None
        if any(self.is_quantized(v) for v in inputs[: op.activations]):
            quant = self.builder.type(inputs[0]).quant if keep else None
            if quant is None:
                op, end, quant = self._ahead(node, op, inputs)
        value = self.add(node, op, inputs, quant)
        value = then(value) if then is not None else value
        self._values[node.outputs[0]] = self._values[end] = value

    def add(self, node: Node, op: Op, inputs: Sequence[str], quant: Quant | None) -> str:
        """Adds an op of one output."""
        return self.builder.node(op, inputs, [self._result(node, op, inputs, quant)], label(node))[0]

    def emit_parts(self, node: Node, op: Op, inputs: Sequence[str]) -> None:
        """Adds an op of several outputs, all in the codes of its first input."""
        quant = self.builder.type(inputs[0]).quant
        dtype = self.builder.type(inputs[0]).dtype
        types = [TensorType(s, dtype, quant) for s in op.infer_shapes(*(self.shape(i) for i in inputs))]
        for name, value in zip(node.outputs, self.builder.node(op, inputs, types, label(node)), strict=False):
            self._values[name] = value

    def requantized(self, value: str, quant: Quant) -> str:
        """`value` in other codes, where it has others."""
        type = self.builder.type(value)
        if type.quant == quant:
            return value
        return self.builder.node(Requantize(), [value], [replace(type, quant=quant)], "requantize")[0]

    def behind(self, node: Node) -> Quant | None:
        """The codes of the QuantizeLinear behind `node`."""
        quantizer = next((u for u in self.users(node.outputs[0]) if u.op == QUANTIZE), None)
        return None if quantizer is None else self.parameters(quantizer)

    def alias(self, node: Node) -> None:
        """The output of `node` is its first operand."""
        name = self._operand(node, 0)
        if name in self._constants:
            self._constants[node.outputs[0]] = self._constants[name]
        else:
            self._values[node.outputs[0]] = self.activation(node, 0)

    def known(self, node: Node, held: Constant) -> None:
        """The output of `node` is a constant."""
        self._constants[node.outputs[0]] = held

    def rename(self, node: Node, value: str) -> None:
        """The output of `node` is a value that is there."""
        self._values[node.outputs[0]] = value

    def transposed(self, value: str, axes: Sequence[int]) -> str:
        """`value` with its dimensions in another order."""
        op = Transpose(tuple(axes))
        type = self.builder.type(value)
        (shape,) = op.infer_shapes(type.shape)
        return self.builder.node(op, [value], [replace(type, shape=shape)])[0]

    def reshaped(self, value: str, shape: Shape) -> str:
        type = self.builder.type(value)
        if shape == type.shape:
            return value
        return self.builder.node(Reshape(shape), [value], [replace(type, shape=shape)])[0]

    def map(self, node: Node, k: int) -> str:
        """Operand `k`, (N, C, H, W) or (N, C, L), as (N, H, W, C); a row of L is one high."""
        value = self.activation(node, k)
        shape = self.shape(value)
        if len(shape) == 3:
            value = self.reshaped(value, (*shape[:2], 1, shape[2]))
        elif len(shape) != 4:
            raise UnsupportedError(f"{node.place}: an input of shape {shape}; (N, C, H, W) and (N, C, L) are supported")
        return self.transposed(value, (0, 2, 3, 1))

    def unmap(self, rank: int) -> Callable[[str], str]:
        """Brings (N, H, W, C) back to (N, C, H, W), or (N, C, L) for rank 3."""

        def then(value: str) -> str:
            value = self.transposed(value, (0, 3, 1, 2))
            n, c, h, w = self.shape(value)
            return value if rank == 4 else self.reshaped(value, (n, c, h * w))

        return then

    # Quantization

    def quantize(self, node: Node) -> None:
        """QuantizeLinear: another name for int8 values, or other codes."""
        quant = self.parameters(node)
        name = self._operand(node, 0)
        if name in self._constants and name not in self._values:
            self._quantize_constant(node, self._constants[name], quant)
            return
        value = self.activation(node, 0)
        if not self.is_quantized(value):
            raise UnsupportedError(f"{node.place} quantizes '{short(name)}', which is computed in float; quantize the "
                                   f"whole model, its inputs too")
        self._values[node.outputs[0]] = self.requantized(value, quant)

    def dequantize(self, node: Node) -> None:
        """DequantizeLinear: the same codes; of constants, codes with their scales."""
        name = self._operand(node, 0)
        if name in self._constants:
            held = self._constants[name]
            if held.data.dtype not in (np.int8, np.uint8, np.int32) or held.scale is not None:
                raise UnsupportedError(f"{node.place}: codes of type {held.data.dtype}; int8, uint8 and int32 are "
                                       f"supported")
            scale = self._scale(node)
            axis = int(node.attributes.get("axis", 1))
            blocked = node.attributes.get("block_size", 0)
            if blocked or (scale.size > 1 and (not -held.data.ndim <= axis < held.data.ndim
                                               or scale.shape != (held.data.shape[axis],))):
                raise UnsupportedError(f"{node.place}: {scale.shape} scales for a tensor {held.data.shape}; one, or "
                                       f"one for each index of an axis")
            zero = self.optional(node, 2, "zero point")
            self._constants[node.outputs[0]] = Constant(held.data, scale, zero, axis)
            return
        value = self.activation(node, 0)
        if self.builder.type(value).quant != self.parameters(node):
            raise UnsupportedError(f"{node.place}: other parameters than those that '{short(name)}' was quantized with")
        self._values[node.outputs[0]] = value

    def parameters(self, node: Node) -> Quant:
        """The quantization of an activation that a QuantizeLinear or DequantizeLinear names, for int8 codes."""
        scale = self._scale(node)
        zero = self.optional(node, 2, "zero point")
        zero = np.zeros(1, np.uint8) if zero is None else zero
        if scale.size != 1 or zero.size != 1:
            raise UnsupportedError(f"{node.place}: {scale.size} scales; an activation must have one scale")
        if zero.dtype not in (np.int8, np.uint8):
            raise UnsupportedError(f"{node.place}: codes of type {zero.dtype}; activations must be int8 or uint8")
        return Quant.per_tensor(float(scale.ravel()[0]), int(zero.ravel()[0]) - shift_of(zero))

    # Inside

    def _operand(self, node: Node, k: int) -> str:
        if not self.has(node, k):
            raise FormatError(f"{node.place} has no operand {k}")
        return node.inputs[k]

    def _input(self, name: str, dtype: str, shape: Shape) -> None:
        """An input of the graph: int8 where all that read it are quantizers, or dequantizers of its codes."""
        quant = None
        readers = self._behind_moves(name)
        if dtype in ("int8", "uint8") or (readers and all(u.op == QUANTIZE for u in readers)):
            first = next((u for u in readers if u.op in (QUANTIZE, DEQUANTIZE)), None)
            if first is None:
                raise UnsupportedError(f"input '{short(name)}' holds codes without a scale")
            quant = self.parameters(first)
        elif dtype != "float32":
            raise UnsupportedError(f"input '{short(name)}' is {dtype}; float32, int8 and uint8 are supported")
        rank = len(shape)
        moved = self._inputs_last and rank > 2
        stored = (shape[0], *shape[2:], shape[1]) if moved else shape
        self._limit(stored, f"input '{short(name)}'")
        type = TensorType(stored, DType.FLOAT32 if quant is None else DType.INT8, quant)
        value = self.builder.input(short(name), type)
        if moved:
            self._transposed.append(value)
            value = self.transposed(value, (0, rank - 1, *range(1, rank - 1)))
        self._values[name] = value

    def _behind_moves(self, name: str) -> list[Node]:
        """The nodes that read a tensor, or what ops that only move elements make of it."""
        found: list[Node] = []
        todo = list(self.users(name))
        while todo and len(found) < MOST_READERS:
            user = todo.pop(0)
            if user.op in MOVES and user.outputs:
                todo += self.users(user.outputs[0])
            else:
                found.append(user)
        return found

    def _output(self, name: str) -> str:
        if name not in self._values:
            if name not in self._constants:
                raise FormatError(f"output '{short(name)}' is computed by no node")
            self._values[name] = self._added(name, self._constants[name], None)
        value = self._values[name]
        rank = len(self.shape(value))
        if self._outputs_last and rank > 2:
            value = self.transposed(value, (0, *range(2, rank), 1))
            self._transposed.append(value)
        return value

    def _call(self, node: Node) -> None:
        if not node.outputs or not node.outputs[0]:
            raise FormatError(f"{node.place} has no output")
        if any(o in self._values or o in self._constants for o in node.outputs if o):
            raise FormatError(f"{node.place} writes '{short(node.outputs[0])}', which already has a value")
        try:
            self._handlers[node.op](self, node)
        except ValueError as error:
            raise UnsupportedError(f"{node.place}: {error}") from None

    def _added(self, name: str, held: Constant, node: Node | None) -> str:
        where = node.place if node is not None else "the output"
        if held.scale is not None and held.data.dtype in (np.int8, np.uint8) and held.scale.size == 1:
            zero = np.zeros(1, held.data.dtype) if held.zero_point is None else held.zero_point
            quant = Quant.per_tensor(float(held.scale.ravel()[0]), int(zero.ravel()[0]) - shift_of(held.data))
            return self.builder.constant(short(name), int8_codes(held.data), quant)
        if held.data.dtype != np.float32 or not held.data.size:
            raise UnsupportedError(f"{where} takes '{short(name)}', {held.data.size} values of type "
                                   f"{held.data.dtype}, as an activation; it must be float32 or int8 with one scale")
        return self.builder.constant(short(name), held.data)

    def _quantize_constant(self, node: Node, held: Constant, quant: Quant) -> None:
        scale, zero = quant.scalar
        unsigned = not self.has(node, 2) or self.constant(node, 2, "zero point").data.dtype == np.uint8
        codes = np.clip(np.rint(real(node, held).astype(np.float64) / scale) + zero, -128, 127) + 128 * unsigned
        self.known(node, Constant(codes.astype(np.uint8 if unsigned else np.int8)))

    def _scale(self, node: Node) -> Array:
        scale = self.constant(node, 1, "scale").data
        if scale.dtype != np.float32 or not scale.size or not np.isfinite(scale).all() or not (scale > 0).all():
            raise FormatError(f"{node.place}: scales must be finite float32 numbers above 0")
        return scale

    def _ahead(self, node: Node, op: Op, inputs: Sequence[str]) -> tuple[Op, str, Quant]:
        """The op with the activation behind it, where its result is then called, and the codes that it gets."""
        end = node.outputs[0]
        users = self._users.get(end, [])
        own = getattr(op, "activation", None)
        if own is Activation.NONE and len(users) == 1 and end not in self.program.outputs:
            fused = self.activation_of(users[0])
            after = self._users.get(users[0].outputs[0], []) if users[0].outputs else []
            if fused is not None and any(u.op == QUANTIZE for u in after):
                self._done.add(id(users[0]))
                op, end, users = replace(op, activation=fused), users[0].outputs[0], after  # type: ignore[type-var]
        wanted = [self.parameters(u) for u in users if u.op == QUANTIZE][:1]
        source = self.builder.type(inputs[0]).quant
        options = [*wanted, *([source] if source is not None and wanted else []), *FIXED]
        brings_its_own = not self._fits(node, op, inputs, PROBE)
        if not wanted and not brings_its_own:
            raise UnsupportedError(f"{node.place}: its output is not quantized; quantize the whole model")
        for quant in options:
            if self._fits(node, op, inputs, quant):
                return op, end, quant
        return op, end, options[0]  # the graph's own check says what is wrong

    def activation_of(self, node: Node) -> Activation | None:
        """The activation that a node is, if an op before it could take it in."""
        if node.op == "Relu":
            return Activation.RELU
        if node.op != "Clip":
            return None
        ends = [node.attributes.get(n) for n in ("min", "max")]
        for k in (1, 2):
            if ends[k - 1] is None and self.is_constant(node, k):
                held = self._constants[node.inputs[k]]
                ends[k - 1] = float(real(node, held).ravel()[0]) if held.data.size == 1 else math.nan
            elif self.has(node, k) and not self.is_constant(node, k):
                return None
        found = (-math.inf if ends[0] is None else ends[0], math.inf if ends[1] is None else ends[1])
        found = (-math.inf if found[0] < -1e30 else found[0], math.inf if found[1] > 1e30 else found[1])
        return next((a for a in Activation if a.real_range == found), None)

    def _fits(self, node: Node, op: Op, inputs: Sequence[str], quant: Quant) -> bool:
        operands = [Operand(self.builder.type(i), self.builder.data(i)) for i in inputs]
        return op.check(operands, [self._result(node, op, inputs, quant)]) is None

    def _result(self, node: Node, op: Op, inputs: Sequence[str], quant: Quant | None) -> TensorType:
        (shape,) = op.infer_shapes(*(self.shape(i) for i in inputs))
        self._limit(shape, node.place)
        return TensorType(shape, DType.FLOAT32 if quant is None else DType.INT8, quant)

    def _limit(self, shape: Shape, where: str) -> None:
        if math.prod(shape) > MOST_ELEMENTS:
            raise UnsupportedError(f"{where}: a tensor of shape {shape}; at most {MOST_ELEMENTS:,} elements are held")


def label(node: Node) -> str:
    """A name for what a node makes."""
    return short(node.name.rstrip("/").rsplit("/", 1)[-1] or node.outputs[0])
