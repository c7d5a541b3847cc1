#include "../support/core.h"

/* Mean over the first of two dimensions (count, inner), rescaled. The rows are not split: row_begin is 0 and row_end 1.
   `out` must not overlap `in`. */
typedef struct {
    int32_t count, inner, in_zero, multiplier, shift;
    ratti_output out;
} ratti_mean_sizes;

RATTI_INLINE void ratti_mean(const int8_t *in, int8_t *out, int32_t row_begin, int32_t row_end,
                             const ratti_mean_sizes s)
{
    int32_t i, k;
    (void)row_begin;
    (void)row_end;
    for (i = 0; i < s.inner; ++i) {
        const int8_t *source = in + i;
        int32_t sum = -s.in_zero * s.count;
        for (k = 0; k < s.count; ++k) {
            sum += *source;
            source += s.inner;
        }
        out[i] = ratti_output_code(sum, s.multiplier, s.shift, s.out);
    }
}
