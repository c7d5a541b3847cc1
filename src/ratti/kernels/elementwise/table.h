#include "../support/core.h"

/* Any function of one int8 code: 256 results, first that of -128. `out` may be `in`. */
RATTI_INLINE void ratti_table(const int8_t *in, int8_t *out, const int8_t *results, int32_t row_begin, int32_t row_end,
                              const int32_t row_elements)
{
    int32_t i;
    for (i = row_begin * row_elements; i < row_end * row_elements; ++i) {
        out[i] = results[in[i] + 128];
    }
}
