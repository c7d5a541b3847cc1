#include "mean.h"

/* Mean of int16 codes, as mean.h does it. `out` must not overlap `in`. */
RATTI_INLINE void ratti_wide_mean(const int8_t *bytes_in, int8_t *bytes_out, int32_t row_begin, int32_t row_end,
                                  const ratti_mean_sizes s)
{
    const int16_t *in = (const int16_t *)(const void *)bytes_in;
    int16_t *out = (int16_t *)(void *)bytes_out;
    int32_t o, i, k;
    for (o = row_begin * s.row_outer; o < row_end * s.row_outer; ++o) {
        for (i = 0; i < s.inner; ++i) {
            const int16_t *source = in + o * s.count * s.inner + i;
            int32_t sum = 0;
            for (k = 0; k < s.count; ++k) {
                sum += *source;
                source += s.inner;
            }
            out[o * s.inner + i] = (int16_t)ratti_output_value(sum, s.multiplier, s.shift, s.out);
        }
    }
}
