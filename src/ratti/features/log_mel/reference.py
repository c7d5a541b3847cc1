"""The integers of a log-mel spectrogram in numpy: the definition that log_mel.h follows step by step."""

from __future__ import annotations

import numpy as np

from ...types import Array
from .._log2 import PER_OCTAVE, bits, log2

TARGET_BITS = 14  # a frame is shifted until its largest sample has so many
WEIGHT_BITS = 12
# A full-scale sine in the middle of a band: amplitude 2^15, Hann 1/2, FFT of N samples scaled by 2 / N: power 2^28.
FULL_SCALE = (28 + WEIGHT_BITS) * PER_OCTAVE


def log_mel(frames: Array, window: Array, twiddles: Array, bands: Array, weights: Array, floor: int) -> Array:
    """(frames, samples) int16 to (frames, mels) int16."""
    x = frames.astype(np.int64)
    largest = np.abs(x).max(axis=1)
    shift = TARGET_BITS - bits(largest)
    shift[largest == 0] = 0
    x = np.where(shift[:, None] >= 0, x << np.maximum(shift, 0)[:, None], x >> np.maximum(-shift, 0)[:, None])
    x = (x * window + 16384) >> 15
    padded = np.zeros((len(x), 2 * len(twiddles)), np.int64)
    padded[:, : x.shape[1]] = x
    power = _power(padded, twiddles.astype(np.int64))
    values, at = np.empty((len(x), len(bands)), np.int64), 0
    for m, (first, count) in enumerate(bands.astype(np.int64)):
        energy = power[:, first : first + count] @ weights[at : at + count].astype(np.int64)
        values[:, m] = np.maximum(log2(energy) - 2 * PER_OCTAVE * shift, floor)
        values[energy == 0, m] = floor
        at += count
    return values.astype(np.int16)


def cosine_transform(values: Array, cosines: Array, floor: int) -> Array:
    """(frames, mels) to (frames, coefficients) int16, of what lies above silence; halved, so that int16 holds it."""
    above = values.astype(np.int64) - floor
    return np.asarray((above @ cosines.astype(np.int64).T) >> 12, np.int16)


def _power(x: Array, twiddles: Array) -> Array:
    """(frames, N) to (frames, N / 2): power of bins 1 to N / 2 - 1; bin 0 stays 0."""
    half = x.shape[1] // 2
    re, im = _fft(x[:, 0::2], x[:, 1::2], twiddles)
    k = np.arange(1, half)
    a, b, c, d = re[:, k], im[:, k], re[:, half - k], im[:, half - k]
    wr, wi = twiddles[k, 0], twiddles[k, 1]
    real = ((a + c) + ((wr * (b + d) + wi * (a - c) + 16384) >> 15)) >> 1
    imag = ((b - d) + ((wi * (b + d) - wr * (a - c) + 16384) >> 15)) >> 1
    power = np.zeros((len(x), half), np.int64)
    power[:, 1:] = real * real + imag * imag
    return power


def _fft(re: Array, im: Array, twiddles: Array) -> tuple[Array, Array]:
    """Complex FFT over axis 1, divided by its length: halved at each of its stages."""
    size = re.shape[1]
    order = np.zeros(size, np.int64)
    for bit in range(size.bit_length() - 1):
        order |= ((np.arange(size) >> bit) & 1) << (size.bit_length() - 2 - bit)
    re, im = re[:, order].copy(), im[:, order].copy()
    span = 1
    while span < size:
        step = size // span  # of W_2size, the table's root
        wr, wi = twiddles[np.arange(span) * step, 0], twiddles[np.arange(span) * step, 1]
        blocks_re, blocks_im = re.reshape(len(re), -1, 2, span), im.reshape(len(im), -1, 2, span)
        ar, ai, br, bi = blocks_re[:, :, 0], blocks_im[:, :, 0], blocks_re[:, :, 1], blocks_im[:, :, 1]
        tr = (br * wr - bi * wi + 16384) >> 15
        ti = (br * wi + bi * wr + 16384) >> 15
        re = np.stack([(ar + tr) >> 1, (ar - tr) >> 1], axis=2).reshape(len(re), size)
        im = np.stack([(ai + ti) >> 1, (ai - ti) >> 1], axis=2).reshape(len(im), size)
        span *= 2
    return re, im
