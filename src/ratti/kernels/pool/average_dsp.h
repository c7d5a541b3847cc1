#include "../support/dsp.h"
#include "geometry.h"

/* Mean of each window over the positions inside the input, ties away from zero: four channels at a time, sums of 16
   bits in pairs. A window has no more than 255 positions; channels are a multiple of four. Four channels
   of a pixel's window are read before they are stored; `out` may overlap `in` as `overlap` of the kernel says. */
RATTI_INLINE void ratti_average_pool_dsp(const int8_t *in, int8_t *out, int32_t row_begin, int32_t row_end,
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
            const int32_t is_run = s.kernel_w == s.in_w && s.pad_left == 0; /* whole rows follow one another */
            const int32_t rows = is_run ? 1 : y1 - y0, columns = is_run ? count : x1 - x0;
            for (c = 0; c < s.channels; c += 4) {
                uint32_t even = 0, odd = 0;
                RATTI_ROLLED
                for (ky = 0; ky < rows; ++ky) {
                    const int8_t *source = in + ((y + y0 + ky) * s.in_w + x + x0) * s.channels + c;
                    RATTI_UNROLL_4
                    for (kx = 0; kx < columns; ++kx) {
                        const uint32_t bytes = ratti_load_word(source);
                        even = ratti_add_even_bytes(even, bytes);
                        odd = ratti_add_odd_bytes(odd, bytes);
                        source += s.channels;
                    }
                }
                RATTI_ROLLED
                for (kx = 0; kx < 4; ++kx) {
                    const uint32_t pair = kx % 2 ? odd : even;
                    int32_t sum = (int16_t)(uint16_t)(kx / 2 ? pair >> 16 : pair);
                    sum = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
                    out[(oy * s.out_w + ox) * s.channels + c + kx] = (int8_t)ratti_clamp(sum, s.low, s.high);
                }
            }
        }
    }
}
