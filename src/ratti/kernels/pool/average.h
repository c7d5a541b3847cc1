#include "geometry.h"

/* Mean of each window over the positions inside the input, ties away from zero.
   `out` may overlap `in` as `overlap` of the kernel says. */
RATTI_INLINE void ratti_average_pool(const int8_t *in, int8_t *out, int32_t row_begin, int32_t row_end,
                                     const ratti_pool s)
{
    int32_t oy, ox, c, ky, kx;
    for (oy = row_begin; oy < row_end; ++oy) {
        const int32_t y = oy * s.stride_h - s.pad_top;
        const int32_t y0 = ratti_pool_first(y), y1 = ratti_pool_last(y, s.kernel_h, s.in_h);
        for (ox = 0; ox < s.out_w; ++ox) {
            const int32_t x = ox * s.stride_w - s.pad_left;
            const int32_t x0 = ratti_pool_first(x), x1 = ratti_pool_last(x, s.kernel_w, s.in_w);
            const int32_t count = (y1 - y0) * (x1 - x0);
            for (c = 0; c < s.channels; ++c) {
                int32_t sum = 0;
                for (ky = y0; ky < y1; ++ky) {
                    const int8_t *source = in + ((y + ky) * s.in_w + x + x0) * s.channels + c;
                    for (kx = x0; kx < x1; ++kx) {
                        sum += *source;
                        source += s.channels;
                    }
                }
                sum = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                out[(oy * s.out_w + ox) * s.channels + c] = (int8_t)ratti_clamp(sum, s.low, s.high);
            }
        }
    }
}
