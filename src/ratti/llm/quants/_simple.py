"""Blocks of 32 weights with one scale: Q4_0 and Q5_0 around zero, Q4_1 and Q5_1 with a minimum."""

from __future__ import annotations

import numpy as np

from ...types import Array
from ._search import scale_and_minimum, signed_scale
from .base import BlockType, from_nibbles, half, nibbles, unhalf

BLOCK = 32


def symmetric(name: str, number: int, bits: int) -> BlockType:
    """x ~ d * (code - 2^(bits-1)); the weight of largest magnitude gets code 0."""
    zero = 1 << bits - 1

    def encode(blocks: Array, importance: Array | None) -> Array:
        if importance is not None:
            scale, signed = signed_scale(np.ascontiguousarray(blocks.T), np.ascontiguousarray(importance.T), zero)
            codes = (signed.T + zero).astype(np.uint8)
        else:
            largest = blocks[np.arange(len(blocks)), np.abs(blocks).argmax(1)]
            scale = largest / np.float32(-zero)
            inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
            codes = np.minimum(np.trunc(blocks * inverse[:, None] + np.float32(zero + 0.5)), 2 * zero - 1)
            codes = codes.astype(np.uint8)
        return np.concatenate((half(scale), *_pack(codes, bits)), 1)

    def decode(data: Array) -> Array:
        found: Array = unhalf(data[:, :2]) * (_unpack(data[:, 2:], bits).astype(np.float32) - zero)
        return found

    return BlockType(name, number, BLOCK, 2 + BLOCK * bits // 8, encode, decode)


def asymmetric(name: str, number: int, bits: int) -> BlockType:
    """x ~ d * code + m."""
    top = (1 << bits) - 1

    def encode(blocks: Array, importance: Array | None) -> Array:
        if importance is not None:
            w = np.ascontiguousarray(importance.T)
            scale, minus, best = scale_and_minimum(np.ascontiguousarray(blocks.T), w, top, -0.9, 0.05, 36)
            low, codes = -minus, best.T.astype(np.uint8)
        else:
            low = blocks.min(1)
            scale = (blocks.max(1) - low) / np.float32(top)
            inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale != 0)
            codes = np.trunc((blocks - low[:, None]) * inverse[:, None] + np.float32(0.5)).astype(np.uint8)
            codes = np.minimum(codes, top)
        return np.concatenate((half(scale), half(low), *_pack(codes, bits)), 1)

    def decode(data: Array) -> Array:
        codes = _unpack(data[:, 4:], bits).astype(np.float32)
        found: Array = unhalf(data[:, :2]) * codes + unhalf(data[:, 2:4])
        return found

    return BlockType(name, number, BLOCK, 4 + BLOCK * bits // 8, encode, decode)


def _pack(codes: Array, bits: int) -> list[Array]:
    """Fifth bits as a little-endian word, then nibbles."""
    fifth = [np.packbits(codes >> 4, axis=1, bitorder="little")] if bits == 5 else []
    return [*fifth, nibbles(codes & 15)]


def _unpack(data: Array, bits: int) -> Array:
    if bits == 4:
        return from_nibbles(data)
    fifth = np.unpackbits(np.ascontiguousarray(data[:, :4]), axis=1, bitorder="little")
    found: Array = from_nibbles(data[:, 4:]) | fifth << 4
    return found
