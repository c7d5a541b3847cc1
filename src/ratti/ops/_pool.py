"""What average and maximum pooling share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from ..types import Array, Shape, TensorType
from ._accumulate import activation_of
from ._window import Padding, Pair, check_rank4, map_size, out_size, padding_code, resolve_padding, same_padding
from .base import Activation, Case, Op, Operand, constraint, in_int16, int8, same_quantization


@constraint
def padding_below_window(op: Pool2D, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """padding must be smaller than the window, so that every window sees the input"""
    return max(op.padding[:2]) < op.kernel[0] and max(op.padding[2:]) < op.kernel[1]


@dataclass(frozen=True)
class Pool2D(Op):
    """Attributes and shape rule of a 2-D pool."""

    kernel: Pair = (2, 2)
    stride: Pair = (2, 2)
    padding: Padding = (0, 0, 0, 0)
    activation: Activation = Activation.NONE

    constraints = (same_quantization, padding_below_window)
    takes_int16: ClassVar[bool] = True
    tflite_options: ClassVar[str | None] = "Pool2DOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        check_rank4(shapes[0])
        n, h, w, c = shapes[0]
        return ((n, *out_size((h, w), self.kernel, self.stride, self.padding), c),)

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        size = map_size(operands[0].type.shape)
        kernel = (options["filter_height"], options["filter_width"])
        stride = (options["stride_h"], options["stride_w"])
        padding = resolve_padding(options["padding"], size, kernel, stride)
        return cls(kernel, stride, padding, activation_of(options)), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        size = map_size(operands[0].type.shape)
        return {
            "padding": padding_code(self.padding, size, self.kernel, self.stride),
            "filter_height": self.kernel[0],
            "filter_width": self.kernel[1],
            "stride_h": self.stride[0],
            "stride_w": self.stride[1],
            "fused_activation_function": int(self.activation),
        }, ()

    @classmethod
    def pool_cases(cls) -> Iterator[Case]:
        def case(
            label: str,
            shape: Shape,
            kernel: Pair,
            stride: Pair,
            same: bool = False,
            act: Activation = Activation.NONE,
            zp: int = 3,
        ) -> Case:
            padding = same_padding((shape[1], shape[2]), kernel, stride, (1, 1)) if same else (0, 0, 0, 0)
            op = cls(kernel, stride, padding, act)
            (out,) = op.infer_shapes(shape)
            return Case(label, op, (Operand(int8(shape, 0.05, zp)),), (int8(out, 0.05, zp),))

        yield case("k2", (1, 6, 4, 5), (2, 2), (2, 2))
        yield in_int16(case("k3_same_stride2", (1, 7, 8, 3), (3, 3), (2, 2), True))
        yield in_int16(case("relu6", (1, 4, 4, 4), (2, 2), (1, 1), act=Activation.RELU6, zp=-20))
        yield in_int16(case("global_saturated", (1, 15, 17, 4), (15, 17), (15, 17), zp=127))
        yield case("global", (1, 25, 5, 6), (25, 5), (25, 5), zp=-128)
        yield case("global_saturated", (1, 15, 17, 4), (15, 17), (15, 17), zp=127)
        yield case("k3_same_stride2", (1, 7, 8, 3), (3, 3), (2, 2), True)
        yield case("k3_same_stride1", (1, 5, 4, 4), (3, 3), (1, 1), True, Activation.RELU, zp=-40)
        yield case("k1x3", (1, 3, 9, 2), (1, 3), (1, 2), zp=127)
        yield case("k2_stride3", (1, 8, 7, 4), (2, 2), (3, 3), zp=-128)
        yield case("k4_same_small", (1, 3, 2, 5), (4, 4), (2, 2), True)
        yield case("relu_n1_to_1", (1, 5, 5, 3), (3, 2), (2, 1), act=Activation.RELU_N1_TO_1, zp=60)
        yield case("relu6", (1, 4, 4, 4), (2, 2), (1, 1), act=Activation.RELU6, zp=-20)
