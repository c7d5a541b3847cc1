#include "../support/core.h"

/* Place of the largest of `count` elements, the first of equal ones, as int32: (outer, count, inner) -> (outer, inner);
   `row_outer` of the outer ones make a row. `out` must not overlap `in`. */
RATTI_INLINE void ratti_arg_max(const int8_t *in, int8_t *out, int32_t row_begin, int32_t row_end,
                                const int32_t row_outer, const int32_t count, const int32_t inner)
{
    int32_t o, i, k;
    for (o = row_begin * row_outer; o < row_end * row_outer; ++o) {
        for (i = 0; i < inner; ++i) {
            const int8_t *source = in + o * count * inner + i;
            int32_t best = 0;
            for (k = 1; k < count; ++k) {
                best = source[k * inner] > source[best * inner] ? k : best;
            }
            ratti_copy(out + (o * inner + i) * 4, &best, 4);
        }
    }
}
