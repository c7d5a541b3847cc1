"""A part of a tensor: every `stride`-th element from `begin` along each dimension (SLICE and STRIDED_SLICE)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ..types import Array, Shape, TensorType
from ._move import Move
from .base import Case, Operand, constant_integers, in_int16, int8


@dataclass(frozen=True)
class Slice(Move):
    """(…) -> (…): along dimension d the elements begin[d] + k * stride[d] for k < count[d]; strides may be negative.

    Dimensions in `dropped` (of count 1) leave the shape.
    """

    begin: tuple[int, ...]
    count: tuple[int, ...]
    stride: tuple[int, ...]
    dropped: tuple[int, ...] = ()

    name: ClassVar[str] = "slice"
    tflite_code: ClassVar[int] = 45
    tflite_aliases: ClassVar[tuple[int, ...]] = (65,)
    tflite_options: ClassVar[str | None] = "StridedSliceOptions"

    def infer_shapes(self, *shapes: Shape) -> tuple[Shape, ...]:
        shape = shapes[0]
        if not len(shape) == len(self.begin) == len(self.count) == len(self.stride):
            raise ValueError(f"a slice of {len(self.begin)} dimensions of an input {shape}")
        for n, begin, count, stride in zip(shape, self.begin, self.count, self.stride, strict=True):
            if count < 1 or not 0 <= begin < n or not 0 <= begin + (count - 1) * stride < n:
                raise ValueError(f"a slice from {self.begin} of {self.count} by {self.stride} of an input {shape}")
        if any(self.count[d] != 1 for d in self.dropped):
            raise ValueError(f"dimensions {self.dropped} of {self.count} dropped from the shape")
        return (tuple(n for d, n in enumerate(self.count) if d not in self.dropped),)

    def move(self, arrays: Sequence[Array], fill: float) -> tuple[Array, ...]:
        chosen = []
        for begin, count, stride in zip(self.begin, self.count, self.stride, strict=True):
            chosen.append(begin + stride * np.arange(count))
        return (arrays[0][np.ix_(*chosen)].reshape(self._shape(arrays[0].shape)),)

    def _shape(self, shape: Shape) -> Shape:
        return self.infer_shapes(shape)[0]

    def batched(self, samples: int, shape: Shape) -> Self:
        if (self.begin[0], self.count[0], self.stride[0]) != (0, shape[0], 1) or 0 in self.dropped:
            raise ValueError(f"a slice of the first dimension of {shape}")
        return type(self)(self.begin, (shape[0] * samples, *self.count[1:]), self.stride, self.dropped)

    @classmethod
    def from_tflite(
        cls, options: Mapping[str, Any], operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Self, tuple[int, ...]]:
        shape = operands[0].type.shape
        vectors = [constant_integers(o, "slices").ravel().tolist() for o in operands[1:]]
        if any(len(v) > len(shape) for v in vectors):
            raise ValueError(f"a slice of {max(map(len, vectors))} dimensions of an input {shape}")
        if len(vectors) == 2:  # SLICE: begin and size
            sizes = [n - b if s == -1 else s for n, b, s in zip(shape, *vectors, strict=True)]
            return cls(tuple(vectors[0]), tuple(sizes), (1,) * len(shape)), (0,)
        begin, end, stride = vectors
        if options["ellipsis_mask"] or options["new_axis_mask"] or options["offset"]:
            raise ValueError("an ellipsis, a new axis or an offset in a strided slice")
        ranges, dropped = [], []
        for d, n in enumerate(shape):
            if d >= len(begin):
                ranges.append(range(n))
            elif options["shrink_axis_mask"] >> d & 1:
                ranges.append(range(begin[d] + n * (begin[d] < 0), begin[d] + n * (begin[d] < 0) + 1))
                dropped.append(d)
            else:
                first = None if options["begin_mask"] >> d & 1 else begin[d]
                last = None if options["end_mask"] >> d & 1 else end[d]
                if stride[d] == 0:
                    raise ValueError("a stride of 0")
                ranges.append(range(n)[slice(first, last, stride[d])])
        starts = tuple(r.start for r in ranges)
        return cls(starts, tuple(len(r) for r in ranges), tuple(r.step for r in ranges), tuple(dropped)), (0,)

    def to_tflite(
        self, operands: Sequence[Operand], outputs: Sequence[TensorType]
    ) -> tuple[Mapping[str, Any], tuple[Array, ...]]:
        last = [b + c * s for b, c, s in zip(self.begin, self.count, self.stride, strict=True)]
        options = {"shrink_axis_mask": sum(1 << d for d in self.dropped)}
        # An end before the first element cannot be written, only left open.
        options["end_mask"] = sum(1 << d for d, end in enumerate(last) if end < 0)
        return options, tuple(np.array(v, np.int32) for v in (self.begin, last, self.stride))

    @classmethod
    def cases(cls, rng: np.random.Generator) -> Iterator[Case]:
        for label, shape, op in (
            ("channels", (1, 3, 4, 8), cls((0, 0, 0, 3), (1, 3, 4, 4), (1, 1, 1, 1))),
            ("window", (1, 5, 6, 3), cls((0, 1, 2, 0), (1, 3, 4, 3), (1, 1, 1, 1))),
            ("every_second", (1, 6, 7, 4), cls((0, 1, 0, 1), (1, 3, 4, 2), (1, 2, 2, 2))),
            ("backward", (1, 4, 5, 3), cls((0, 3, 4, 2), (1, 4, 2, 3), (1, -1, -2, -1))),
            ("one_row", (1, 4, 5, 3), cls((0, 2, 0, 0), (1, 1, 5, 3), (1, 1, 1, 1), (1,))),
            ("vector", (1, 12), cls((0, 4), (1, 6), (1, 1))),
            ("one_step", (1, 7, 5), cls((0, 6, 0), (1, 1, 5), (1, 1, 1), (1,))),
        ):
            (out,) = op.infer_shapes(shape)
            case = Case(label, op, (Operand(int8(shape, 0.1, 5)),), (int8(out, 0.1, 5),))
            yield from (case, in_int16(case))
