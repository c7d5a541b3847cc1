#include "geometry.h"

/* Pools of int16 codes: the mean of each window, ties away from zero, or its largest code. `out` must not overlap
   `in`. */
RATTI_INLINE void ratti_wide_pool(const int8_t *bytes_in, int8_t *bytes_out, int32_t row_begin, int32_t row_end,
                                  const ratti_pool s, const int32_t averages)
{
    const int16_t *in = (const int16_t *)(const void *)bytes_in;
    int16_t *out = (int16_t *)(void *)bytes_out;
    int32_t oy, ox, c, ky, kx;
    for (oy = row_begin; oy < row_end; ++oy) {
        const int32_t y = oy * s.stride_h - s.pad_top;
        const int32_t y0 = ratti_pool_first(y), y1 = ratti_pool_last(y, s.kernel_h, s.in_h);
        for (ox = 0; ox < s.out_w; ++ox) {
            const int32_t x = ox * s.stride_w - s.pad_left;
            const int32_t x0 = ratti_pool_first(x), x1 = ratti_pool_last(x, s.kernel_w, s.in_w);
            const int32_t count = (y1 - y0) * (x1 - x0);
            for (c = 0; c < s.channels; ++c) {
                int32_t value = averages ? 0 : -32768;
                for (ky = y0; ky < y1; ++ky) {
                    const int16_t *source = in + ((y + ky) * s.in_w + x + x0) * s.channels + c;
                    for (kx = x0; kx < x1; ++kx) {
                        value = averages ? value + *source : *source > value ? *source : value;
                        source += s.channels;
                    }
                }
                if (averages) {
                    value = (value > 0 ? value + count / 2 : value - count / 2) / count;
                }
                out[(oy * s.out_w + ox) * s.channels + c] = (int16_t)ratti_clamp(value, s.low, s.high);
            }
        }
    }
}
