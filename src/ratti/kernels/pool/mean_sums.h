#include "sums.h"

/* Mean of a whole map, rescaled, from rows that arrive call by call: row_begin and row_end count the rows of the input,
   the last of which gives the result. sums: scratch, kept between the calls. */
typedef struct {
    int32_t in_h, in_w, channels, in_zero, multiplier, shift;
    ratti_output out;
} ratti_mean_sums_sizes;

RATTI_INLINE void ratti_mean_sums(const int8_t *in, int8_t *out, int8_t *scratch, int32_t row_begin, int32_t row_end,
                                  const ratti_mean_sums_sizes s)
{
    int32_t *sums = (int32_t *)(void *)scratch;
    int32_t c;
    ratti_add_to_sums(in, sums, row_begin, row_end, s.in_w, s.channels, -s.in_zero * s.in_h * s.in_w);
    if (row_end == s.in_h) {
        for (c = 0; c < s.channels; ++c) {
            out[c] = ratti_output_code(sums[c], s.multiplier, s.shift, s.out);
        }
    }
}
