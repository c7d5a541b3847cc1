#include "../support/mve.h"
#include "geometry.h"

/* Convolution with vectors of Armv8.1-M: sixteen products an instruction, four output channels at a time.

   weights: [out_c][kernel_h][kernel_w][in_c].
   window: scratch for one window as bytes, where the convolution is not pointwise. `out` may overlap `in`
   as `overlap` of the kernel says. */
RATTI_INLINE void ratti_conv_mve(const int8_t *in, int8_t *out, const int8_t *weights, const ratti_channel *channels,
                                 int8_t *window, int32_t row_begin, int32_t row_end, const ratti_conv s)
{
    const int32_t depth = ratti_conv_depth(s);
    int32_t oy, ox, o;
    out += row_begin * s.out_w * s.out_c;
    for (oy = row_begin; oy < row_end; ++oy) {
        for (ox = 0; ox < s.out_w; ++ox) {
            const int8_t *x = window;
            if (ratti_conv_is_pointwise(s)) {
                x = in + (oy * s.in_w + ox) * s.in_c;
            } else {
                ratti_conv_window(in, window, oy * s.stride_h - s.pad_top, ox * s.stride_w - s.pad_left, s);
            }
            for (o = 0; o + 4 <= s.out_c; o += 4) {
                int32_t sums[4];
                ratti_mve_products(x, weights + o * depth, depth, 4, sums);
                ratti_mve_store(sums, out + o, channels + o, 4, s.out);
            }
            if (s.out_c % 4) {
                int32_t sums[4];
                ratti_mve_products(x, weights + o * depth, depth, s.out_c % 4, sums);
                ratti_mve_store(sums, out + o, channels + o, s.out_c % 4, s.out);
            }
            out += s.out_c;
        }
    }
}
