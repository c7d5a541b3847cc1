"""What an operator is: attributes, shape rule, meaning, cost, constraints, cases and its TFLite form.

An op is a frozen dataclass of its attributes. It knows nothing of graphs, plans or kernels.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from ..fixed_point import round_half_away
from ..types import Array, DType, Quant, Shape, TensorType


class Activation(enum.IntEnum):
    """An activation fused into the op before it; values are TFLite's ActivationFunctionType."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3

    @property
    def real_range(self) -> tuple[float, float]:
        return {
            Activation.NONE: (-np.inf, np.inf),
            Activation.RELU: (0.0, np.inf),
            Activation.RELU_N1_TO_1: (-1.0, 1.0),
            Activation.RELU6: (0.0, 6.0),
        }[self]

    def code_range(self, out: TensorType) -> tuple[int, int]:
        """Smallest and largest code that an output of type `out` can take."""
        lo, hi = out.dtype.limits
        real_lo, real_hi = self.real_range
        if real_lo > -np.inf:
            lo = max(lo, _code(real_lo, out))
        if real_hi < np.inf:
            hi = min(hi, _code(real_hi, out))
        return lo, hi

    def apply(self, x: Array) -> Array:
        """The activation on real values."""
        return np.clip(x, *self.real_range)


def _code(real: float, type: TensorType) -> int:
    # TFLite divides in float32 before it rounds. The limit keeps the quotient of a tiny scale finite.
    quotient = np.float32(max(-1e9, min(real / type.scale, 1e9)))
    return type.zero_point + round_half_away(float(quotient))


@dataclass(frozen=True)
class Operand:
    """One input of an op: its type, and its data where it is constant."""

    type: TensorType
    data: Array | None = None


@dataclass(frozen=True)
class Constraint:
    """A rule that a node must meet; the rule's docstring is its error text and its documentation."""

    holds: Callable[..., bool]

    @property
    def text(self) -> str:
        return " ".join((self.holds.__doc__ or self.holds.__name__).split()).rstrip(".")


@dataclass(frozen=True)
class Case:
    """One test case of an op: attributes, operands (constants with data) and output types."""

    label: str
    op: Op
    operands: tuple[Operand, ...]
    outputs: tuple[TensorType, ...]


class Op(ABC):
    """Base of all operators. Subclasses are frozen dataclasses; `name` is the file's name."""

    name: ClassVar[str]
    operand_names: ClassVar[tuple[str, ...]] = ("input",)
    optional_operands: ClassVar[int] = 0  # how many of the last operands may be missing
    activations: ClassVar[int] = 1  # how many of the first operands are data, not weights
    constraints: ClassVar[tuple[Constraint, ...]] = ()
    typing: ClassVar[Constraint | None] = None  # the rule for element types, where it is not `typed_activations`
    takes_int16: ClassVar[bool] = False  # whether activations may be int16, with zero point 0
    broadcasts: ClassVar[bool] = False  # whether data operands may have shapes that are repeated to fit
    tflite_code: ClassVar[int]
    tflite_aliases: ClassVar[tuple[int, ...]] = ()  # codes of TFLite ops that are read as this one
    tflite_options: ClassVar[str | None] = None

    @abstractmethod
    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        """Output shapes from operand shapes."""

    @abstractmethod
    def evaluate(
        self, inputs: Sequence[Array], types: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> tuple[Array, ...]:
        """The op's meaning: int8 to the last bit as TFLite's reference kernels, float32 in double precision."""

    def macs(self, types: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        """Multiply-accumulates of one inference; 0 for ops that have none by convention."""
        return 0

    @classmethod
    @abstractmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        """Test cases that cover the op's corners."""

    @classmethod
    @abstractmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        """The op and the indices of the operands that it keeps (others became attributes)."""

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        """Fields of the options table and constant operands to append."""
        return {}, ()

    @classmethod
    def tflite_order(cls, inputs: Sequence[int], extra: Sequence[int]) -> list[int]:
        """The inputs of the TFLite op: tensors of the operands, and of the constants that attributes become."""
        return [*inputs, *extra]

    def batched(self, samples: int, shape: Shape) -> Self:
        """The op for an input whose first dimension, that of `shape`, is `samples` times as long.

        ValueError where the op would mix samples.
        """
        if len(shape) < 2:
            raise ValueError(f"{self.name} over the only dimension of {shape}")
        return self

    def separate(self, types: Sequence[TensorType]) -> tuple[Op, ...]:
        """One op for each output, which computes it alone from the same inputs; planners know no others."""
        return (self,)

    def check(self, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> str | None:
        """The text of the first constraint that does not hold, or None."""
        for constraint in (self.typing or typed_activations, *self.constraints):
            if not constraint.holds(self, operands, outputs):
                return constraint.text
        return None


def constraint(holds: Callable[..., bool]) -> Constraint:
    """Makes a rule `(op, operands, outputs) -> bool` a Constraint."""
    return Constraint(holds)


@constraint
def typed_activations(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """inputs and outputs must all be int8 with one scale and a zero point, or all float32 (a few ops: int16)"""
    types = [*(o.type for o in operands[: op.activations]), *outputs]
    if all(t.dtype is DType.FLOAT32 for t in types):
        return True
    if op.takes_int16 and all(t.dtype is DType.INT16 for t in types):
        return all(t.quant is not None and t.quant.axis is None and t.zero_point == 0 for t in types)
    return all(t.dtype is DType.INT8 and t.quant is not None and t.quant.axis is None for t in types)


@constraint
def all_same_quantization(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """inputs and outputs must all have the same scale and zero point"""
    return len({t.quant for t in (*(o.type for o in operands[: op.activations]), *outputs)}) == 1


@constraint
def same_quantization(op: Op, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """input and output must have the same scale and zero point"""
    return operands[0].type.quant == outputs[0].quant


def int8(shape: Shape, scale: float, zero_point: int) -> TensorType:
    """An int8 activation type."""
    return TensorType(shape, DType.INT8, Quant.per_tensor(scale, zero_point))


def constant_integers(operand: Operand, what: str) -> Array:
    """The data of an operand that holds attributes. ValueError where it is no constant, or not int32 or int64."""
    if operand.data is None:
        raise ValueError(f"{what} that are computed at run time (they must be constant)")
    if operand.type.dtype not in (DType.INT32, DType.INT64):
        raise ValueError(f"{what} of type {operand.type.dtype.value} (they must be int32 or int64)")
    return operand.data


def random_filter(
    rng: np.random.Generator, shape: Shape, axis: int, in_scale: float, channels: int, saturate: bool = False
) -> tuple[Operand, Operand]:
    """Random per-channel weights and the bias that belongs to them, with the extreme codes present."""
    data = rng.integers(-127, 128, shape).astype(np.int8)
    if saturate:
        data = np.where(data < 0, -127, 127).astype(np.int8)
    scales = rng.uniform(0.002, 0.02, channels).astype(np.float32)
    weight = Operand(TensorType(shape, DType.INT8, Quant.per_channel(scales, axis)), data)
    return weight, random_bias(rng, scales, in_scale)


def random_bias(rng: np.random.Generator, weight_scales: Array, in_scale: float) -> Operand:
    bias = rng.integers(-2000, 2001, len(weight_scales)).astype(np.int32)
    quant = Quant.per_channel(weight_scales * np.float32(in_scale), 0)
    return Operand(TensorType(bias.shape, DType.INT32, quant), bias)


def int16(shape: Shape, scale: float) -> TensorType:
    """An int16 activation type."""
    return TensorType(shape, DType.INT16, Quant.per_tensor(scale, 0))


def with_four_bits(case: Case) -> Case:
    """A case of a linear op with 4-bit weights of the same range."""
    x, weight, *rest = case.operands
    assert weight.data is not None
    data = (weight.data.astype(np.int64) >> 4).astype(np.int8)
    narrow = Operand(TensorType(weight.type.shape, DType.INT4, _scaled(weight.type.quant, 16)), data)
    bias = [Operand(replace(o.type, quant=_scaled(o.type.quant, 16)), o.data // 16) for o in rest if o.data is not None]
    return Case(f"{case.label}_4bit", case.op, (x, narrow, *bias), case.outputs)


def with_zeros(case: Case, rng: np.random.Generator, share: float) -> Case:
    """A case of a linear op of whose weights `share` are 0, and all those of the last output."""
    x, weight, *rest = case.operands
    assert weight.data is not None
    data = np.where(rng.random(weight.data.shape) < share, 0, weight.data).astype(np.int8)
    data[-1] = 0
    return Case(case.label, case.op, (x, Operand(weight.type, data), *rest), case.outputs)


def with_int16(case: Case, sums: DType = DType.INT64) -> Case:
    """A case of a linear op with int16 activations of the same range, and the bias that belongs to them."""
    x, weight, *rest = case.operands
    bias = [
        Operand(TensorType(o.type.shape, sums, _scaled(o.type.quant, 1 / 256)), o.data.astype(sums.numpy) << 8)
        for o in rest
        if o.data is not None
    ]
    outputs = tuple(int16(t.shape, t.scale / 256) for t in case.outputs)
    input = Operand(int16(x.type.shape, x.type.scale / 256))
    label = f"{case.label}_16x8" + ("" if sums is DType.INT64 else f"_{sums.value}")
    return Case(label, case.op, (input, weight, *bias), outputs)


def in_int16(case: Case) -> Case:
    """A case of an op without weights with int16 activations of the same range."""

    def wider(type: TensorType) -> TensorType:
        return int16(type.shape, wide_scale(type))

    def data(operand: Operand) -> Array | None:
        if operand.data is None:
            return None
        real = operand.type.scale * (operand.data.astype(np.float64) - operand.type.zero_point)
        return np.asarray(np.clip(np.rint(real / wide_scale(operand.type)), -32768, 32767)).astype(np.int16)

    operands = tuple(Operand(wider(o.type), data(o)) for o in case.operands)
    return Case(f"{case.label}_int16", case.op, operands, tuple(wider(t) for t in case.outputs))


def wide_scale(type: TensorType) -> float:
    """The scale of int16 codes, without a zero point, that hold the range of an int8 type."""
    return float(np.float32(type.scale * (128 + abs(type.zero_point)) / 32768))


def _scaled(quant: Quant | None, factor: float) -> Quant | None:
    return None if quant is None else replace(quant, scale=tuple(float(np.float32(s * factor)) for s in quant.scale))
