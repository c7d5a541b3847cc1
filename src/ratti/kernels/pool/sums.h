#include "../support/core.h"

/* Adds rows of a (rows, columns, channels) map to a sum for each channel; the first row starts them at `start`. */
RATTI_INLINE void ratti_add_to_sums(const int8_t *in, int32_t *sums, int32_t row_begin, int32_t row_end,
                                    const int32_t columns, const int32_t channels, const int32_t start)
{
    const int32_t count = (row_end - row_begin) * columns;
    const int8_t *rows = in + row_begin * columns * channels;
    int32_t c, k;
    for (c = 0; c < channels; ++c) {
        const int8_t *source = rows + c;
        int32_t sum = row_begin == 0 ? start : sums[c];
        RATTI_UNROLL_4
        for (k = 0; k < count; ++k) {
            sum += *source;
            source += channels;
        }
        sums[c] = sum;
    }
}
