#include "../support/core.h"

/* Mean over the middle one of three dimensions (outer, count, inner), rescaled; `row_outer` of the outer ones make a
   row. `out` may overlap `in` as `overlap` of the kernel says. */
typedef struct {
    int32_t row_outer, count, inner, in_zero, multiplier, shift;
    ratti_output out;
} ratti_mean_sizes;

RATTI_INLINE void ratti_mean(const int8_t *in, int8_t *out, int32_t row_begin, int32_t row_end,
                             const ratti_mean_sizes s)
{
    int32_t o, i, k;
    for (o = row_begin * s.row_outer; o < row_end * s.row_outer; ++o) {
        for (i = 0; i < s.inner; ++i) {
            const int8_t *source = in + o * s.count * s.inner + i;
            int32_t sum = -s.in_zero * s.count;
            for (k = 0; k < s.count; ++k) {
                sum += *source;
                source += s.inner;
            }
            out[o * s.inner + i] = ratti_output_code(sum, s.multiplier, s.shift, s.out);
        }
    }
}
