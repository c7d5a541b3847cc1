#include "../../kernels/support/compiler.h"
#include "../log2.h"

/* Statistics of one segment, channels side by side; reference.py is their definition.

   The last six sizes are 1 for the statistics that are wanted. scratch: half a segment of one channel (int16). */
typedef struct {
    int32_t samples, channels, octaves, mean, deviation, rms, smallest, largest, crossings;
} ratti_statistics_sizes;

/* The whole part of the square root, two bits of x a turn. */
static RATTI_NOINLINE uint32_t ratti_root(uint64_t x)
{
    uint64_t rest = x, found = 0, bit = (uint64_t)1 << 62;
    while (bit > rest) {
        bit >>= 2;
    }
    for (; bit; bit >>= 2) {
        if (rest >= found + bit) {
            rest -= found + bit;
            found = (found >> 1) + bit;
        } else {
            found >>= 1;
        }
    }
    return (uint32_t)found;
}

RATTI_INLINE int16_t ratti_at_most(uint32_t x)
{
    return (int16_t)(x < 32767u ? x : 32767u);
}

/* Energy of the differences of `pairs` pairs, `step` apart; their halved sums go to `sums`, which may be `x`. */
static RATTI_NOINLINE int16_t ratti_octave(const int16_t *x, int32_t step, int32_t pairs, int16_t *sums)
{
    uint64_t energy = 0;
    int32_t i;
    for (i = 0; i < pairs; ++i) {
        const int32_t a = x[2 * i * step], b = x[(2 * i + 1) * step], d = (a - b) >> 1;
        energy += (uint32_t)(d * d);
        sums[i] = (int16_t)((a + b) >> 1);
    }
    return (int16_t)ratti_log2(energy);
}

RATTI_INLINE void ratti_statistics(const int16_t *samples, int16_t *values, int8_t *scratch,
                                   const ratti_statistics_sizes s)
{
    int16_t *sums = (int16_t *)(void *)scratch;
    const int32_t n = s.samples;
    int32_t c, i, k;
    for (c = 0; c < s.channels; ++c) {
        const int16_t *x = samples + c;
        int32_t total = 0, smallest = x[0], largest = x[0], mean, crossings = 0;
        uint64_t squares = 0;
        for (i = 0; i < n; ++i) {
            const int32_t v = x[i * s.channels];
            total += v;
            squares += (uint32_t)(v * v);
            smallest = v < smallest ? v : smallest;
            largest = v > largest ? v : largest;
        }
        mean = (int32_t)((uint32_t)(total + 32768 * n + n / 2) / (uint32_t)n) - 32768;
        if (s.crossings) {
            int32_t before = x[0] > mean;
            for (i = 1; i < n; ++i) {
                const int32_t above = x[i * s.channels] > mean;
                crossings += above != before;
                before = above;
            }
        }
        if (s.mean) {
            *values++ = (int16_t)mean;
        }
        if (s.deviation) {
            const uint64_t spread = (uint64_t)n * squares - (uint64_t)((int64_t)total * total);
            *values++ = ratti_at_most(ratti_root(spread) / (uint32_t)n);
        }
        if (s.rms) {
            *values++ = ratti_at_most(ratti_root((uint64_t)n * squares) / (uint32_t)n);
        }
        if (s.smallest) {
            *values++ = (int16_t)smallest;
        }
        if (s.largest) {
            *values++ = (int16_t)largest;
        }
        if (s.crossings) {
            *values++ = (int16_t)crossings;
        }
        for (k = 0; k < s.octaves; ++k) {
            *values++ = k ? ratti_octave(sums, 1, n >> (k + 1), sums) : ratti_octave(x, s.channels, n >> 1, sums);
        }
    }
}
