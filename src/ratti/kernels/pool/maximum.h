#include "geometry.h"

/* Largest code of each window. `out` may overlap `in` as `overlap` of the kernel says. */
RATTI_INLINE void ratti_max_pool(const int8_t *in, int8_t *out, int32_t row_begin, int32_t row_end, const ratti_pool s)
{
    int32_t oy, ox, c, ky, kx;
    for (oy = row_begin; oy < row_end; ++oy) {
        const int32_t y = oy * s.stride_h - s.pad_top;
        const int32_t y0 = ratti_pool_first(y), y1 = ratti_pool_last(y, s.kernel_h, s.in_h);
        for (ox = 0; ox < s.out_w; ++ox) {
            const int32_t x = ox * s.stride_w - s.pad_left;
            const int32_t x0 = ratti_pool_first(x), x1 = ratti_pool_last(x, s.kernel_w, s.in_w);
            for (c = 0; c < s.channels; ++c) {
                int32_t largest = -128;
                for (ky = y0; ky < y1; ++ky) {
                    const int8_t *source = in + ((y + ky) * s.in_w + x + x0) * s.channels + c;
                    for (kx = x0; kx < x1; ++kx) {
                        largest = *source > largest ? *source : largest;
                        source += s.channels;
                    }
                }
                out[(oy * s.out_w + ox) * s.channels + c] = (int8_t)ratti_clamp(largest, s.low, s.high);
            }
        }
    }
}
