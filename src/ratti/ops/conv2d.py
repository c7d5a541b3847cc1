"""2-D convolution with groups, stride, dilation and explicit padding."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, DType, Quant, Shape, TensorType
from ._accumulate import LinearOp
from ._filter import attributes, options_of, padding_expressible
from ._window import (
    Padding,
    Pair,
    check_rank4,
    out_size,
    pad_hw,
    patches,
    same_padding,
)
from .base import Activation, Case, Operand, int8, random_filter, with_four_bits, with_int16, with_zeros


@dataclass(frozen=True)
class Conv2D(LinearOp):
    """(N, H, W, C) * (O, KH, KW, C / groups) + (O,) -> (N, OH, OW, O).

    Output channel o belongs to group o // (O / groups); where groups are interleaved, as a channel shuffle behind the
    convolution leaves them, to group o % groups. TFLite knows the first alone.
    """

    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    activation: Activation = Activation.NONE
    interleaved: bool = False

    takes_int16: ClassVar[bool] = True
    short_bias: ClassVar[bool] = True
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
        owners = self.owners(o)
        sums = np.empty((n * oh * ow, o), w.dtype)
        for g in range(self.groups):
            columns = win[..., g * i : (g + 1) * i].reshape(n * oh * ow, kh * kw * i)
            sums[:, owners == g] = columns @ w[owners == g].reshape(-1, kh * kw * i).T
        return sums.reshape(n, oh, ow, o)

    def owners(self, outputs: int) -> Array:
        """The group of each of `outputs` channels."""
        channels = np.arange(outputs)
        return channels % self.groups if self.interleaved else channels // (outputs // self.groups)

    def macs(self, types: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        _, kh, kw, i = types[1].shape
        return outputs[0].elements * kh * kw * i

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        found = attributes(options, operands)
        groups = operands[0].type.shape[3] // operands[1].type.shape[3]
        return cls(**found, groups=max(groups, 1)), tuple(range(len(operands)))

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return options_of(self, operands), ()

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
            has_bias: bool = True,
            per_tensor: bool = False,
            interleaved: bool = False,
        ) -> Case:
            x = int8((1, h, w, c), 0.02, in_zp)
            weight, bias = random_filter(rng, (o, *k, c // groups), 0, 0.02, o, saturate)
            if per_tensor:
                weight = Operand(replace(weight.type, quant=Quant.per_tensor(0.011, 0)), weight.data)
                bias = Operand(replace(bias.type, quant=Quant.per_tensor(0.011 * 0.02, 0)), bias.data)
            named = {"valid": (0, 0, 0, 0), "same": same_padding((h, w), k, stride, dilation)}
            padding = named[pad] if isinstance(pad, str) else pad
            op = cls(stride, padding, dilation, groups, act, interleaved)
            (shape,) = op.infer_shapes(x.shape, weight.type.shape)
            # An output scale near the spread of the accumulators uses the whole int8 range.
            spread = 0.02 * 0.011 * 74 * 74 * float(np.sqrt(k[0] * k[1] * c // groups)) / 60
            y = int8(shape, out_scale * spread, out_zp)
            return Case(label, op, (Operand(x), weight, bias)[: 3 if has_bias else 2], (y,))

        options = (
            case("k3_same", 7, 5, 3, 5, (3, 3), pad="same"),
            case("groups2", 5, 5, 4, 6, (2, 3), groups=2, act=Activation.RELU),
            case("interleaved", 5, 5, 4, 6, (2, 3), groups=2, interleaved=True),
        )
        for eight in options:
            yield from (with_int16(eight), with_four_bits(eight), with_int16(eight, DType.INT32))
        yield with_int16(case("no_bias", 4, 5, 6, 7, (3, 3), pad="same", has_bias=False))
        yield case("pointwise", 5, 5, 8, 16, (1, 1))
        yield case("pointwise_odd", 5, 3, 7, 5, (1, 1), in_zp=-128, out_zp=-128, act=Activation.RELU)
        yield case("pointwise_stride2", 7, 6, 4, 8, (1, 1), (2, 2))
        yield case("k3_same", 7, 5, 4, 8, (3, 3), pad="same")
        yield case("k3_same_wide", 5, 10, 16, 12, (3, 3), pad="same", act=Activation.RELU, out_zp=-128)
        yield case("k3_stride2x1", 8, 7, 12, 8, (3, 3), (2, 1), (0, 1, 1, 1))
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
        yield case("groups_four", 3, 5, 16, 24, (1, 1), groups=2, act=Activation.RELU, out_zp=-128)
        yield case("groups_stride2", 7, 5, 6, 9, (3, 3), (2, 2), "same", groups=3, in_zp=127)
        yield case("groups_fours_k3", 5, 5, 8, 8, (3, 3), pad="same", groups=2)
        yield case("interleaved", 3, 5, 12, 18, (1, 1), groups=3, act=Activation.RELU6, interleaved=True)
        yield case("interleaved_fours", 3, 4, 16, 16, (1, 1), groups=2, interleaved=True)
        yield case("interleaved_k3", 5, 5, 6, 9, (3, 3), pad="same", groups=3, in_zp=-128, interleaved=True)
        yield case("one_pixel", 1, 1, 16, 10, (1, 1))
        yield case("global_window", 4, 4, 3, 7, (4, 4))
        yield case("saturated", 4, 4, 16, 8, (3, 3), pad="same", saturate=True, in_zp=127, out_zp=127)
        # A factor above 1, from accumulators to codes.
        yield case("tiny_scale", 4, 4, 1, 6, (1, 1), out_scale=5e-3, out_zp=-100, act=Activation.RELU, has_bias=False)
        yield case("huge_scale", 4, 4, 4, 4, (3, 3), pad="same", out_scale=40.0, out_zp=127)
        yield case("no_bias", 4, 5, 6, 7, (3, 3), pad="same", has_bias=False)
        yield case("per_tensor", 5, 4, 3, 6, (3, 3), per_tensor=True, act=Activation.RELU_N1_TO_1, out_scale=0.2)
        yield case("lopsided_padding", 6, 7, 3, 5, (3, 4), (2, 1), (2, 0, 1, 3), in_zp=127)
        yield case("dilated_stride2", 11, 10, 3, 4, (3, 3), (2, 2), "same", (2, 3))
        yield case("stride_beyond_window", 9, 8, 3, 5, (2, 1), (3, 4))
        yield case("depthwise_groups", 5, 5, 6, 6, (3, 3), pad="same", groups=6)
        yield case("wide", 2, 33, 20, 24, (3, 3), pad="same", in_zp=-128, out_zp=-128, act=Activation.RELU)
        yield with_zeros(case("sparse_pointwise", 5, 3, 40, 12, (1, 1), act=Activation.RELU, out_zp=-128), rng, 0.8)
        yield with_zeros(case("sparse_k3", 7, 6, 8, 5, (3, 3), (2, 2), "same", in_zp=-128), rng, 0.9)
        yield with_zeros(case("sparse_half", 3, 3, 16, 9, (1, 1), in_zp=127), rng, 0.5)
