#include "../../kernels/support/compiler.h"
#include "../log2.h"

/* One frame of a log-mel spectrogram, or of MFCCs, in whole numbers; reference.py is its definition.

   window: 1.0 = 2^15. twiddles: cosine and minus sine, 1.0 = 32767. weights: of all bands, 1.0 = 4096. cosines:
   [coefficients][mels], 1.0 = 2^11. scratch: the FFT's values (half complex int16), the power (half uint32), and the
   bands (int16) where there are coefficients. */
typedef struct {
    uint16_t first, count;
} ratti_band;

typedef struct {
    int32_t frame, half, mels, coefficients, floor;
} ratti_log_mel_sizes;

/* Complex FFT of `size` values in place, divided by `size`; the twiddles are those of twice the size. */
static RATTI_NOINLINE void ratti_fft(int16_t *x, const int16_t *twiddles, int32_t size)
{
    int32_t i, j = 0, span;
    for (i = 1; i < size; ++i) { /* bit reversal: j counts from the top bit down */
        int32_t bit = size >> 1;
        for (; j & bit; bit >>= 1) {
            j ^= bit;
        }
        j ^= bit;
        if (i < j) {
            const int16_t re = x[2 * i], im = x[2 * i + 1];
            x[2 * i] = x[2 * j];
            x[2 * i + 1] = x[2 * j + 1];
            x[2 * j] = re;
            x[2 * j + 1] = im;
        }
    }
    for (span = 1; span < size; span *= 2) {
        int32_t k, at;
        const int32_t step = 2 * (size / span);
        for (k = 0; k < span; ++k) {
            const int32_t wr = twiddles[k * step], wi = twiddles[k * step + 1];
            for (at = k; at < size; at += 2 * span) {
                int16_t *a = x + 2 * at, *b = a + 2 * span;
                const int32_t tr = (b[0] * wr - b[1] * wi + 16384) >> 15, ti = (b[0] * wi + b[1] * wr + 16384) >> 15;
                const int32_t ar = a[0], ai = a[1];
                a[0] = (int16_t)((ar + tr) >> 1);
                a[1] = (int16_t)((ai + ti) >> 1);
                b[0] = (int16_t)((ar - tr) >> 1);
                b[1] = (int16_t)((ai - ti) >> 1);
            }
        }
    }
}

RATTI_INLINE void ratti_log_mel(const int16_t *samples, int16_t *values, const int16_t *window,
                                const int16_t *twiddles, const ratti_band *bands, const uint16_t *weights,
                                const int16_t *cosines, int8_t *scratch, const ratti_log_mel_sizes s)
{
    int16_t *x = (int16_t *)(void *)scratch;
    uint32_t *power = (uint32_t *)(void *)(scratch + 4 * s.half);
    int16_t *mels = s.coefficients ? (int16_t *)(void *)(scratch + 8 * s.half) : values;
    int32_t i, m, largest = 0, shift = 0;
    for (i = 0; i < s.frame; ++i) {
        const int32_t v = samples[i];
        largest = v > largest ? v : -v > largest ? -v : largest;
    }
    if (largest) {
        shift = 14 - ratti_bits((uint32_t)largest);
    }
    for (i = 0; i < s.frame; ++i) {
        const int32_t v = shift >= 0 ? samples[i] * (1 << shift) : samples[i] >> -shift;
        x[i] = (int16_t)((v * window[i] + 16384) >> 15);
    }
    for (; i < 2 * s.half; ++i) {
        x[i] = 0;
    }
    ratti_fft(x, twiddles, s.half);
    power[0] = 0;
    for (i = 1; i < s.half; ++i) { /* the spectrum of the real samples from that of their pairs */
        const int32_t a = x[2 * i], b = x[2 * i + 1], c = x[2 * (s.half - i)], d = x[2 * (s.half - i) + 1];
        const int32_t wr = twiddles[2 * i], wi = twiddles[2 * i + 1];
        const int32_t re = ((a + c) + ((wr * (b + d) + wi * (a - c) + 16384) >> 15)) >> 1;
        const int32_t im = ((b - d) + ((wi * (b + d) - wr * (a - c) + 16384) >> 15)) >> 1;
        power[i] = (uint32_t)re * (uint32_t)re + (uint32_t)im * (uint32_t)im;
    }
    for (m = 0; m < s.mels; ++m) {
        uint64_t energy = 0;
        int32_t value = s.floor;
        for (i = 0; i < bands[m].count; ++i) {
            energy += (uint64_t)power[bands[m].first + i] * *weights++;
        }
        if (energy) {
            value = ratti_log2(energy) - 2 * 256 * shift;
            value = value < s.floor ? s.floor : value;
        }
        mels[m] = (int16_t)value;
    }
    for (i = 0; i < s.coefficients; ++i) {
        int32_t sum = 0;
        for (m = 0; m < s.mels; ++m) {
            sum += (mels[m] - s.floor) * *cosines++;
        }
        values[i] = (int16_t)(sum >> 12);
    }
}
