"""Depthwise 2-D convolution: every input channel is filtered on its own, `multiplier` times."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
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
from .base import Activation, Case, Operand, int8, random_filter, with_four_bits, with_int16


@dataclass(frozen=True)
class DepthwiseConv2D(LinearOp):
    """(N, H, W, C) * (1, KH, KW, C * multiplier) + (C * multiplier,) -> (N, OH, OW, C * multiplier)."""

    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    multiplier: int = 1
    activation: Activation = Activation.NONE

    takes_int16: ClassVar[bool] = True
    name: ClassVar[str] = "depthwise_conv2d"
    output_axis: ClassVar[int] = 3
    constraints = (*LinearOp.constraints, padding_expressible)
    tflite_code: ClassVar[int] = 4
    tflite_options: ClassVar[str | None] = "DepthwiseConv2DOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        check_rank4(shapes[0])
        check_rank4(shapes[1])
        (n, h, w, c), (one, kh, kw, o) = shapes[0], shapes[1]
        if one != 1 or o != c * self.multiplier:
            raise ValueError(f"weights {shapes[1]} on {c} channels with multiplier {self.multiplier}")
        return ((n, *out_size((h, w), (kh, kw), self.stride, self.padding, self.dilation), o),)

    def accumulate(self, x: Array, w: Array) -> Array:
        kh, kw = w.shape[1:3]
        padded = np.repeat(pad_hw(x, self.padding, 0), self.multiplier, axis=3)
        windows = patches(padded, (kh, kw), self.stride, self.dilation)
        acc = np.zeros((*windows.shape[:3], w.shape[3]), w.dtype)
        for ky in range(kh):
            for kx in range(kw):
                acc += windows[:, :, :, ky, kx] * w[0, ky, kx]
        return acc

    def macs(self, types: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        _, kh, kw, _ = types[1].shape
        return outputs[0].elements * kh * kw

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        found = attributes(options, operands)
        # depth_multiplier is redundant; the shapes decide, as in TFLite.
        multiplier = operands[1].type.shape[3] // operands[0].type.shape[3]
        return cls(**found, multiplier=max(multiplier, 1)), tuple(range(len(operands)))

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        return {**options_of(self, operands), "depth_multiplier": self.multiplier}, ()

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        def case(
            label: str,
            h: int,
            w: int,
            c: int,
            k: Pair,
            stride: Pair = (1, 1),
            pad: Padding | str = "same",
            dilation: Pair = (1, 1),
            multiplier: int = 1,
            act: Activation = Activation.NONE,
            in_zp: int = 5,
            out_zp: int = -3,
            saturate: bool = False,
            has_bias: bool = True,
        ) -> Case:
            x = int8((1, h, w, c), 0.03, in_zp)
            o = c * multiplier
            weight, bias = random_filter(rng, (1, *k, o), 3, 0.03, o, saturate)
            named = {"valid": (0, 0, 0, 0), "same": same_padding((h, w), k, stride, dilation)}
            op = cls(stride, named[pad] if isinstance(pad, str) else pad, dilation, multiplier, act)
            (shape,) = op.infer_shapes(x.shape, weight.type.shape)
            y = int8(shape, 0.03 * 0.011 * 74 * 74 * float(np.sqrt(k[0] * k[1])) / 60, out_zp)
            return Case(label, op, (Operand(x), weight, bias)[: 3 if has_bias else 2], (y,))

        options = (
            case("k3_same", 6, 5, 7, (3, 3)),
            case("multiplier2", 5, 5, 3, (3, 3), multiplier=2, act=Activation.RELU),
        )
        for eight in options:
            yield from (with_int16(eight), with_four_bits(eight))
        yield case("k3_same", 6, 5, 8, (3, 3))
        yield case("k3_odd_channels", 5, 7, 5, (3, 3), in_zp=-128, out_zp=-128, act=Activation.RELU)
        yield case("k3_stride2_odd", 7, 5, 6, (3, 3), (2, 2))
        yield case("k3_stride2_even", 8, 6, 4, (3, 3), (2, 2), act=Activation.RELU6, out_zp=-128)
        yield case("k3_torch_stride2", 8, 6, 4, (3, 3), (2, 2), (1, 1, 1, 1), in_zp=127)
        yield case("k3_valid", 5, 6, 3, (3, 3), pad="valid", out_zp=127)
        yield case("k5_same", 6, 6, 4, (5, 5), in_zp=-128)
        yield case("k1x3", 4, 9, 2, (1, 3))
        yield case("k3_dilated", 9, 8, 4, (3, 3), dilation=(2, 2))
        yield case("k3_wide", 3, 12, 2, (3, 3), act=Activation.RELU, out_zp=-128)
        yield case("k3_wide_both_sides", 3, 12, 2, (3, 3), in_zp=-128)
        yield case("k3_wide_stride2", 5, 22, 2, (3, 3), (2, 2), act=Activation.RELU, out_zp=-128)
        yield case("k3_wide_stride2_both_sides", 3, 23, 2, (3, 3), (2, 2))
        yield case("k3_column", 4, 1, 3, (3, 3), act=Activation.RELU, out_zp=-128)
        yield case("multiplier2", 5, 5, 3, (3, 3), multiplier=2)
        yield case("multiplier4_one_channel", 6, 6, 1, (3, 3), (2, 2), multiplier=4)
        yield case("one_row", 1, 9, 4, (3, 3))
        yield case("small_map", 2, 2, 16, (3, 3), in_zp=-128)
        yield case("no_bias", 5, 4, 3, (3, 3), has_bias=False)
        yield case("lopsided_padding", 6, 7, 3, (3, 4), (2, 1), (2, 0, 1, 3), in_zp=-128)
        yield case("k5_stride3", 11, 9, 4, (5, 5), (3, 3), act=Activation.RELU_N1_TO_1)
        yield case("k7x1", 9, 3, 5, (7, 1), (2, 1))
        yield case("dilated_stride2", 9, 10, 3, (3, 2), (2, 2), "valid", (2, 3))
        yield case("multiplier3_dilated", 7, 7, 2, (2, 2), dilation=(3, 2), multiplier=3, in_zp=127)
        yield case("saturated", 4, 4, 8, (3, 3), saturate=True, in_zp=-128, out_zp=127)
