"""2-D convolution with groups, stride, dilation and explicit padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._accumulate import LinearOp, activation_of
from ._window import Padding, Pair, check_rank4, out_size, pad_hw, padding_code, patches, resolve_padding, same_padding
from .base import Activation, Case, Operand, constraint, int8, random_filter


@constraint
def padding_expressible(op: Conv2D, operands: Sequence[Operand], outputs: Sequence[TensorType]) -> bool:
    """padding must be smaller than the window"""
    kh, kw = operands[1].type.shape[1:3]
    reach = ((kh - 1) * op.dilation[0], (kw - 1) * op.dilation[1])
    return max(op.padding[:2]) <= reach[0] and max(op.padding[2:]) <= reach[1]


@dataclass(frozen=True)
class Conv2D(LinearOp):
    """(N, H, W, C) * (O, KH, KW, C / groups) + (O,) -> (N, OH, OW, O)."""

    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    activation: Activation = Activation.NONE

    name: ClassVar[str] = "conv2d"
    constraints = (*LinearOp.constraints, padding_expressible)
    tflite_code: ClassVar[int] = 3
    tflite_options: ClassVar[str | None] = "Conv2DOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        check_rank4(shapes[0])
        check_rank4(shapes[1])
        (n, h, w, c), (o, kh, kw, i) = shapes[0], shapes[1]
        if i * self.groups != c or o % self.groups:
            raise ValueError(f"{self.groups} groups of {i} channels, {o} outputs on an input of {c} channels")
        return ((n, *out_size((h, w), (kh, kw), self.stride, self.padding, self.dilation), o),)

    def accumulate(self, x: Array, w: Array) -> Array:
        o, kh, kw, i = w.shape
        win = patches(pad_hw(x, self.padding, 0), (kh, kw), self.stride, self.dilation)
        n, oh, ow = win.shape[:3]
        groups = []
        for g in range(self.groups):
            columns = win[..., g * i : (g + 1) * i].reshape(n * oh * ow, kh * kw * i)
            rows = w[g * o // self.groups : (g + 1) * o // self.groups].reshape(-1, kh * kw * i)
            groups.append(columns @ rows.T)
        return np.concatenate(groups, axis=1).reshape(n, oh, ow, o)

    def macs(self, types: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        _, kh, kw, i = types[1].shape
        return outputs[0].elements * kh * kw * i

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        check_rank4(operands[0].type.shape)
        check_rank4(operands[1].type.shape)
        _, h, w, c = operands[0].type.shape
        _, kh, kw, i = operands[1].type.shape
        stride = (options["stride_h"], options["stride_w"])
        dilation = (options["dilation_h_factor"], options["dilation_w_factor"])
        padding = resolve_padding(options["padding"], (h, w), (kh, kw), stride, dilation)
        op = cls(stride, padding, dilation, max(c // i, 1), activation_of(options))
        return op, tuple(range(len(operands)))

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        size, kernel = operands[0].type.shape[1:3], operands[1].type.shape[1:3]
        return {
            "padding": padding_code(self.padding, size, kernel, self.stride, self.dilation),
            "stride_h": self.stride[0],
            "stride_w": self.stride[1],
            "dilation_h_factor": self.dilation[0],
            "dilation_w_factor": self.dilation[1],
            "fused_activation_function": int(self.activation),
        }, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        def case(
            label: str,
            h: int,
            w: int,
            c: int,
            o: int,
            k: Pair,
            stride: Pair = (1, 1),
            pad: Padding | str = "valid",
            dilation: Pair = (1, 1),
            groups: int = 1,
            act: Activation = Activation.NONE,
            in_zp: int = -7,
            out_zp: int = 11,
            out_scale: float = 0.9,
            saturate: bool = False,
        ) -> Case:
            x = int8((1, h, w, c), 0.02, in_zp)
            weight, bias = random_filter(rng, (o, *k, c // groups), 0, 0.02, o, saturate)
            named = {"valid": (0, 0, 0, 0), "same": same_padding((h, w), k, stride, dilation)}
            padding = named[pad] if isinstance(pad, str) else pad
            op = cls(stride, padding, dilation, groups, act)
            (shape,) = op.infer_shapes(x.shape, weight.type.shape)
            # An output scale near the spread of the accumulators uses the whole int8 range.
            spread = 0.02 * 0.011 * 74 * 74 * float(np.sqrt(k[0] * k[1] * c // groups)) / 60
            y = int8(shape, out_scale * spread, out_zp)
            return Case(label, op, (Operand(x), weight, bias), (y,))

        yield case("pointwise", 5, 5, 8, 16, (1, 1))
        yield case("pointwise_odd", 5, 3, 7, 5, (1, 1), in_zp=-128, out_zp=-128, act=Activation.RELU)
        yield case("pointwise_stride2", 7, 6, 4, 8, (1, 1), (2, 2))
        yield case("k3_same", 7, 5, 4, 8, (3, 3), pad="same")
        yield case("k3_same_stride2_odd", 7, 9, 3, 6, (3, 3), (2, 2), "same", act=Activation.RELU6)
        yield case("k3_same_stride2_even", 8, 8, 3, 8, (3, 3), (2, 2), "same", in_zp=127, out_zp=-128)
        yield case("k3_torch_stride2", 8, 8, 1, 8, (3, 3), (2, 2), (1, 1, 1, 1))
        yield case("k10x4_one_channel", 13, 10, 1, 8, (10, 4), (2, 2), "same", in_zp=83, act=Activation.RELU)
        yield case("k1x5", 6, 11, 5, 3, (1, 5), pad="same", in_zp=-128)
        yield case("k5x1_stride1x2", 9, 6, 2, 5, (5, 1), (1, 2), "same")
        yield case("dilated", 9, 9, 4, 4, (3, 3), pad="same", dilation=(2, 2))
        yield case("dilated_valid", 9, 8, 2, 3, (2, 3), dilation=(3, 2))
        yield case("groups2", 5, 5, 8, 12, (3, 3), pad="same", groups=2)
        yield case("groups_pointwise", 4, 4, 12, 12, (1, 1), groups=3)
        yield case("one_pixel", 1, 1, 16, 10, (1, 1))
        yield case("global_window", 4, 4, 3, 7, (4, 4))
        yield case("no_bias_saturated", 4, 4, 16, 8, (3, 3), pad="same", saturate=True, in_zp=127, out_zp=127)
        yield case("tiny_scale", 4, 4, 4, 4, (3, 3), pad="same", out_scale=1e-3, out_zp=-128, act=Activation.RELU)
        yield case("huge_scale", 4, 4, 4, 4, (3, 3), pad="same", out_scale=40.0, out_zp=127)
        yield case("wide", 2, 33, 20, 24, (3, 3), pad="same", in_zp=-128, out_zp=-128, act=Activation.RELU)
