#include "../support/core.h"

/* Softmax over rows of `vectors` times `channels` codes. exponentials[d] is exp(-d * scale) in Q0.31 for the difference
   d to the vector's maximum; differences from `known` on count as 0. The reciprocal of the sum comes from three
   Newton-Raphson steps in fixed point. `out` may be `in`. */
static inline int32_t ratti_q31_multiply(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

static inline int32_t ratti_round_shift(int32_t x, int32_t shift)
{
    return shift > 0 ? (int32_t)(((int64_t)x + ((int64_t)1 << (shift - 1)) - (x < 0)) >> shift) : x;
}

static inline int32_t ratti_saturating_shift(int32_t x, int32_t shift)
{
    const int64_t y = (int64_t)x * ((int64_t)1 << shift);
    return y > INT32_MAX ? INT32_MAX : y < INT32_MIN ? INT32_MIN : (int32_t)y;
}

/* 1 / (1 + a) for a in [0, 1), both Q0.31. */
static inline int32_t ratti_reciprocal(int32_t a)
{
    const int32_t half = (int32_t)(((int64_t)a + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + ratti_q31_multiply(half, -1010580540); /* 48/17 - 32/17 * half, Q2.29 */
    int32_t step;
    for (step = 0; step < 3; ++step) {
        x += ratti_saturating_shift(ratti_q31_multiply(x, (1 << 29) - ratti_q31_multiply(half, x)), 2);
    }
    return ratti_saturating_shift(x, 1);
}

RATTI_INLINE void ratti_softmax(const int8_t *in, int8_t *out, const int32_t *exponentials, int32_t row_begin,
                                int32_t row_end, const int32_t vectors, const int32_t channels, const int32_t known)
{
    int32_t row, c;
    for (row = row_begin * vectors; row < row_end * vectors; ++row) {
        const int8_t *x = in + row * channels;
        int32_t largest = -128, sum = 0, headroom = 0, scale;
        for (c = 0; c < channels; ++c) {
            largest = x[c] > largest ? x[c] : largest;
        }
        for (c = 0; c < channels; ++c) {
            if (largest - x[c] < known) {
                sum += ratti_round_shift(exponentials[largest - x[c]], 12); /* Q12.19 */
            }
        }
        while (((uint32_t)sum << headroom) < 0x80000000u) {
            ++headroom;
        }
        scale = ratti_reciprocal((int32_t)(((uint32_t)sum << headroom) - 0x80000000u));
        for (c = 0; c < channels; ++c) {
            int32_t y = -128;
            if (largest - x[c] < known) {
                y += ratti_round_shift(ratti_q31_multiply(scale, exponentials[largest - x[c]]), 12 - headroom + 31 - 8);
            }
            out[row * channels + c] = (int8_t)ratti_clamp(y, -128, 127);
        }
    }
}
