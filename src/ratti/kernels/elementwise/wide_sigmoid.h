#include "../support/core.h"

/* Sigmoids of int16 codes: a table of 256 entries with straight lines between them, the negative side mirrored.
   `bits` of the argument lie between two entries; behind the last one the value is `end`. What is negative becomes
   (negative - value) >> right, all else (positive + value) >> right. `out` may be `in`. */
typedef struct {
    int32_t row_elements, multiplier, shift, bits, end, positive, negative, right;
} ratti_wide_sigmoid_sizes;

RATTI_INLINE void ratti_wide_sigmoid(const int8_t *bytes_in, int8_t *bytes_out, const uint16_t *table,
                                     int32_t row_begin, int32_t row_end, const ratti_wide_sigmoid_sizes s)
{
    const int16_t *in = (const int16_t *)(const void *)bytes_in;
    int16_t *out = (int16_t *)(void *)bytes_out;
    int32_t i;
    for (i = row_begin * s.row_elements; i < row_end * s.row_elements; ++i) {
        const int32_t x = (in[i] * s.multiplier + (int32_t)((1u << s.shift) >> 1)) >> s.shift;
        const int32_t size = x < 0 ? -x : x, k = size >> s.bits;
        int32_t value = s.end;
        if (k < 255) {
            value = (table[k] << s.bits) + (size & ((1 << s.bits) - 1)) * (table[k + 1] - table[k]);
        }
        out[i] = (int16_t)((x < 0 ? s.negative - value : s.positive + value) >> s.right);
    }
}
