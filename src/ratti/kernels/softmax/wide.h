#include "../support/core.h"

/* Softmax of int16 codes over rows of `vectors` times `channels`. Both tables have 513 entries over the range of int16,
   with straight lines between them: exponentials over [-10, 0], reciprocals 1 / (1 + x) over [0, 1]. `out` may be
   `in`. */
static inline int32_t ratti_wide_lookup(const int16_t *table, int32_t code)
{
    const int16_t *at = table + 256 + (code >> 7);
    return at[0] + (((at[1] - at[0]) * (code & 127) + 64) >> 7);
}

RATTI_INLINE int32_t ratti_wide_exponential(const int16_t *exponentials, int32_t difference, int32_t multiplier,
                                            int32_t shift)
{
    const int32_t scaled = ratti_clamp(ratti_rescale_general(difference, multiplier, shift), -65535, 0);
    return ratti_wide_lookup(exponentials, scaled + 32767);
}

RATTI_INLINE void ratti_wide_softmax(const int8_t *bytes_in, int8_t *bytes_out, const int16_t *exponentials,
                                     const int16_t *reciprocals, int32_t row_begin, int32_t row_end,
                                     const int32_t vectors, const int32_t channels, const int32_t multiplier,
                                     const int32_t shift)
{
    int32_t row, c;
    for (row = row_begin * vectors; row < row_end * vectors; ++row) {
        const int16_t *x = (const int16_t *)(const void *)bytes_in + row * channels;
        int16_t *out = (int16_t *)(void *)bytes_out + row * channels;
        int32_t largest = -32768, sum = 0, bits = 1, scale, mantissa;
        for (c = 0; c < channels; ++c) {
            largest = x[c] > largest ? x[c] : largest;
        }
        for (c = 0; c < channels; ++c) {
            sum += ratti_wide_exponential(exponentials, x[c] - largest, multiplier, shift);
        }
        while (sum >> bits) {
            ++bits;
        }
        mantissa = (int32_t)((((uint32_t)sum << (31 - bits)) + (1u << 13)) >> 14) - 32768 - 65536;
        scale = ratti_wide_lookup(reciprocals, ratti_clamp(mantissa, -32768, 32767));
        for (c = 0; c < channels; ++c) {
            const int32_t y = ratti_wide_exponential(exponentials, x[c] - largest, multiplier, shift) * scale;
            out[c] = (int16_t)ratti_clamp((y + (1 << (bits - 2))) >> (bits - 1), 0, 32767);
        }
    }
}
