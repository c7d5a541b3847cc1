#include "../support/core.h"

/* int16 codes times one factor where they are not negative and another where they are. `out` may be `in`. */
typedef struct {
    int32_t row_elements;
    int32_t up_multiplier, up_shift, down_multiplier, down_shift;
    int32_t low, high;
} ratti_wide_line_sizes;

RATTI_INLINE void ratti_wide_line(const int8_t *bytes_in, int8_t *bytes_out, int32_t row_begin, int32_t row_end,
                                  const ratti_wide_line_sizes s)
{
    const int16_t *in = (const int16_t *)(const void *)bytes_in;
    int16_t *out = (int16_t *)(void *)bytes_out;
    int32_t i;
    for (i = row_begin * s.row_elements; i < row_end * s.row_elements; ++i) {
        const int32_t x = in[i] < 0 ? ratti_rescale_general(in[i], s.down_multiplier, s.down_shift)
                                    : ratti_rescale_general(in[i], s.up_multiplier, s.up_shift);
        out[i] = (int16_t)ratti_clamp(x, s.low, s.high);
    }
}
