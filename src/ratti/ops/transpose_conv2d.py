"""Transposed 2-D convolution: every input pixel adds its weighted window to the output."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._accumulate import LinearOp, activation_of
from ._window import Padding, Pair, check_rank4, resolve_padding
from .base import Activation, Case, Operand, constant_integers, int8, random_filter

LARGEST_SIDE = 1 << 15


@dataclass(frozen=True)
class TransposeConv2D(LinearOp):
    """(N, H, W, C) * (O, KH, KW, C) + (O,) -> (N, *size, O).

    Input pixel (y, x) adds to the output rows y * stride - top + (0 … KH - 1), and to columns likewise; what lies
    outside is dropped. `padding` is (top, left).
    """

    size: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    activation: Activation = Activation.NONE

    name: ClassVar[str] = "transpose_conv2d"
    tflite_code: ClassVar[int] = 67
    tflite_options: ClassVar[str | None] = "TransposeConvOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        check_rank4(shapes[0])
        check_rank4(shapes[1])
        (n, h, w, c), (o, kh, kw, i) = shapes[0], shapes[1]
        if i != c or min(self.stride) < 1 or min(self.padding) < 0:
            raise ValueError(f"weights {shapes[1]} by {self.stride}, padded by {self.padding}, on an input {shapes[0]}")
        for size, n_in, k, s, p in zip(self.size, (h, w), (kh, kw), self.stride, self.padding, strict=True):
            if not 0 < size <= LARGEST_SIDE or not (n_in - 1) * s - p + k > 0 or p >= max(k, 1):
                raise ValueError(f"an output of {self.size} from an input {shapes[0]} and weights {shapes[1]}")
        return ((n, *self.size, o),)

    def accumulate(self, x: Array, w: Array) -> Array:
        (n, ih, iw, _), (o, kh, kw, _) = x.shape, w.shape
        top, left = self.padding
        full = np.zeros((n, (ih - 1) * self.stride[0] + kh, (iw - 1) * self.stride[1] + kw, o), w.dtype)
        for ky in range(kh):
            for kx in range(kw):
                rows = slice(ky, ky + (ih - 1) * self.stride[0] + 1, self.stride[0])
                columns = slice(kx, kx + (iw - 1) * self.stride[1] + 1, self.stride[1])
                full[:, rows, columns] += x @ w[:, ky, kx].T
        out = np.zeros((n, *self.size, o), w.dtype)
        part = full[:, top : top + self.size[0], left : left + self.size[1]]
        out[:, : part.shape[1], : part.shape[2]] = part
        return out

    def macs(self, types: Sequence[TensorType], outputs: Sequence[TensorType]) -> int:
        o, kh, kw, _ = types[1].shape
        return types[0].elements * kh * kw * o

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        constant_integers(operands[0], "output shapes")
        stride = (options["stride_h"], options["stride_w"])
        size = (outputs[0].shape[1], outputs[0].shape[2]) if len(outputs[0].shape) == 4 else (0, 0)
        kh, kw = operands[1].type.shape[1:3]
        top, left = _padding(options["padding"], size, (kh, kw), stride)
        kept = (2, 1, 3) if len(operands) > 3 else (2, 1)
        return cls(size, stride, (top, left), activation_of(options)), kept

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        kh, kw = operands[1].type.shape[1:3]
        codes = [c for c in (0, 1) if _padding(c, self.size, (kh, kw), self.stride) == self.padding]
        return {
            "padding": codes[0] if codes else None,
            "stride_h": self.stride[0],
            "stride_w": self.stride[1],
            "fused_activation_function": int(self.activation),
        }, (np.array(outputs[0].shape, np.int32),)

    @classmethod
    def tflite_order(cls, inputs: Sequence[int], extra: Sequence[int]) -> list[int]:
        return [*extra, inputs[1], inputs[0], *inputs[2:]]

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        def case(
            label: str,
            h: int,
            w: int,
            c: int,
            o: int,
            k: Pair,
            stride: Pair,
            same: bool,
            in_zp: int = -7,
            act: Activation = Activation.NONE,
            bias: bool = True,
        ) -> Case:
            x = int8((1, h, w, c), 0.02, in_zp)
            weight, offsets = random_filter(rng, (o, *k, c), 0, 0.02, o)
            if same:
                size = (h * stride[0], w * stride[1])
            else:
                size = ((h - 1) * stride[0] + max(k[0], stride[0]), (w - 1) * stride[1] + max(k[1], stride[1]))
            op = cls(size, stride, _padding(0 if same else 1, size, k, stride), act)
            y = int8((1, *size, o), 0.02 * 0.011 * 74 * 74 * float(np.sqrt(k[0] * k[1] * c)) / 60, 11)
            return Case(label, op, (Operand(x), weight, offsets)[: 3 if bias else 2], (y,))

        yield case("k2_twice", 3, 4, 5, 6, (2, 2), (2, 2), True)
        yield case("k3_twice", 4, 3, 3, 4, (3, 3), (2, 2), True, in_zp=-128)
        yield case("k3_twice_valid", 4, 3, 3, 4, (3, 3), (2, 2), False, in_zp=127)
        yield case("k4_twice", 3, 5, 4, 3, (4, 4), (2, 2), True)
        yield case("k3_once", 4, 5, 2, 3, (3, 3), (1, 1), True, bias=False)
        yield case("k1x3", 3, 4, 3, 2, (1, 3), (1, 2), False)
        yield case("k2_three", 3, 2, 3, 4, (2, 2), (3, 3), True)


def _padding(code: int, size: Pair, kernel: Pair, stride: Pair) -> Pair:
    """(top, left) of a TFLite padding code: that of the convolution whose input is this op's output."""
    padding: Padding = resolve_padding(code, size, kernel, stride)
    return padding[0], padding[2]
