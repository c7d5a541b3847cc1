#include "sums.h"

/* Mean of a whole map, ties away from zero, from rows that arrive call by call: row_begin and row_end count the rows of
   the input, the last of which gives the result. sums: scratch, kept between the calls. */
typedef struct {
    int32_t in_h, in_w, channels, low, high;
} ratti_average_sums_sizes;

RATTI_INLINE void ratti_average_sums(const int8_t *in, int8_t *out, int8_t *scratch, int32_t row_begin,
                                     int32_t row_end, const ratti_average_sums_sizes s)
{
    const int32_t count = s.in_h * s.in_w;
    int32_t *sums = (int32_t *)(void *)scratch;
    int32_t c;
    ratti_add_to_sums(in, sums, row_begin, row_end, s.in_w, s.channels, 0);
    if (row_end == s.in_h) {
        for (c = 0; c < s.channels; ++c) {
            const int32_t mean = (sums[c] > 0 ? sums[c] + count / 2 : sums[c] - count / 2) / count;
            out[c] = (int8_t)ratti_clamp(mean, s.low, s.high);
        }
    }
}
