"""How EXL2 stores one linear layer, and what its kernels make of it.

Rows are inputs, columns outputs: the transpose of PyTorch's weight. Rows are sorted by importance and cut into groups
of 32; a group has its number of bits, 4-bit scales, one a column, and a float16 factor. 32 rows of b bits fill b words
of 32 bits a column, lowest bits first. A weight is (code - 2^(b-1)) * (scale + 1)² * factor / 256 in float16.

`q_weight` (words, columns) int32, `q_scale` (groups, columns / 8) int32, `q_scale_max` (groups,) float16,
`q_groups` (2 * groups,) int16: bits and first word of each, `q_invperm` (rows,) int32: where each input's row lies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import FormatError
from ...types import Array

BITS = (2, 3, 4, 5, 6, 8)
GROUP = 32
COLUMNS = 32  # columns are padded to a multiple of this
PARTS = ("q_weight", "q_scale", "q_scale_max", "q_groups", "q_invperm")
INT16_MOST = 32767


@dataclass(frozen=True)
class Codes:
    """A quantized linear layer before it is packed.

    `codes` (rows, columns) uint8 in the order of importance, `scales` (groups, columns) uint8 from 0 to 15, `factors`
    (groups,) float16, `bits` of each group, not increasing (the kernels take them so), `order` (rows,): the input of
    each row.
    """

    codes: Array
    scales: Array
    factors: Array
    bits: tuple[int, ...]
    order: Array

    def __post_init__(self) -> None:
        rows, columns = self.codes.shape
        if rows != GROUP * len(self.bits) or self.scales.shape != (len(self.bits), columns):
            raise ValueError(f"{rows} rows in {len(self.bits)} groups of {GROUP}")
        if any(b not in BITS for b in self.bits) or any(a < b for a, b in zip(self.bits, self.bits[1:], strict=False)):
            raise ValueError(f"bits {self.bits} must come from {BITS} and not increase")

    @property
    def packed_bits(self) -> int:
        """Bits of codes, scales and factors."""
        columns = self.codes.shape[1]
        return sum(GROUP * b * columns + 4 * columns + 16 for b in self.bits)


def step(scales: Array, factor: np.float16) -> Array:
    """float16 steps: (scale + 1)² times factor / 256, each product rounded, as the kernels do."""
    whole = scales.astype(np.int32) + 1
    found: Array = (whole * whole).astype(np.float16) * (factor * np.float16(1 / 256))
    return found


def weights(packed: Codes) -> Array:
    """What the kernels multiply with: float16 (rows, columns), rows in the order of the inputs."""
    found = np.empty(packed.codes.shape, np.float16)
    for g, bits in enumerate(packed.bits):
        part = slice(GROUP * g, GROUP * (g + 1))
        whole = packed.codes[part].astype(np.int32) - (1 << bits - 1)
        found[packed.order[part]] = whole.astype(np.float16) * step(packed.scales[g], packed.factors[g])
    return found


def pack(layer: Codes) -> dict[str, Array]:
    """The tensors of the layer, by the last part of their names."""
    rows, columns = layer.codes.shape
    padding = -columns % COLUMNS
    words, groups, at = [], [], 0
    for g, bits in enumerate(layer.bits):
        part = layer.codes[GROUP * g : GROUP * (g + 1)]
        padded = np.pad(part, ((0, 0), (0, padding)), constant_values=1 << bits - 1)
        words.append(_words(padded, bits))
        groups += [bits, at]
        at += bits
    if at > INT16_MOST:
        raise FormatError(f"a layer of {rows} inputs at these bits has more than {INT16_MOST} words a column")
    scales = np.pad(layer.scales, ((0, 0), (0, padding))).astype(np.uint32).reshape(len(layer.bits), -1, 8)
    inverse = np.empty(rows, np.int32)
    inverse[layer.order] = np.arange(rows, dtype=np.int32)
    return {
        "q_weight": np.concatenate(words).view(np.int32),
        "q_scale": np.bitwise_or.reduce(scales << np.arange(0, 32, 4, dtype=np.uint32), axis=2).view(np.int32),
        "q_scale_max": layer.factors.astype(np.float16),
        "q_groups": np.array(groups, np.int16),
        "q_invperm": inverse,
    }


def unpack(tensors: Mapping[str, Array], columns: int) -> Codes:
    """The reverse of `pack`. FormatError where the parts do not go together."""
    try:
        groups = np.asarray(tensors["q_groups"]).reshape(-1, 2).astype(int)
        bits = tuple(int(b) for b in groups[:, 0])
        if any(b not in BITS for b in bits) or [int(a) for a in groups[:, 1]] != _starts(bits):
            raise FormatError(f"EXL2: groups of {sorted(set(bits))} bits that do not follow each other")
        words = np.ascontiguousarray(tensors["q_weight"]).view(np.uint32)
        codes = np.concatenate([_codes(words[a : a + b], b) for b, a in groups])[:, :columns]
        packed = np.ascontiguousarray(tensors["q_scale"]).view(np.uint32)[..., None]
        scales = (packed >> np.arange(0, 32, 4, dtype=np.uint32) & 15).reshape(len(bits), -1)[:, :columns]
        inverse = np.asarray(tensors["q_invperm"]).astype(np.int64)
        if len(inverse) != len(codes) or sorted(inverse.tolist()) != list(range(len(codes))):
            raise FormatError("EXL2: q_invperm is no permutation of the rows")
        return Codes(codes, scales.astype(np.uint8), np.asarray(tensors["q_scale_max"]), bits, np.argsort(inverse))
    except (KeyError, ValueError, IndexError) as error:
        raise FormatError(f"EXL2: a damaged layer ({error})") from None


def _starts(bits: Sequence[int]) -> list[int]:
    return [sum(bits[:i]) for i in range(len(bits))]


def _words(codes: Array, bits: int) -> Array:
    """Codes (32, columns) as `bits` words a column (bits, columns) uint32."""
    planes = (codes[:, None] >> np.arange(bits, dtype=np.uint8)[:, None]) & 1  # (32, bits, columns): a stream of bits
    stream = planes.reshape(bits, 32, codes.shape[1]).astype(np.uint32)
    found: Array = np.bitwise_or.reduce(stream << np.arange(32, dtype=np.uint32)[:, None], axis=1)
    return found


def _codes(words: Array, bits: int) -> Array:
    """The reverse."""
    stream = (words[:, None] >> np.arange(32, dtype=np.uint32)[:, None]) & 1
    planes = stream.reshape(GROUP, bits, words.shape[1]).astype(np.uint8)
    found: Array = np.bitwise_or.reduce(planes << np.arange(bits, dtype=np.uint8)[:, None], axis=1)
    return found
