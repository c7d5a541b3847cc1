#include "../support/multiply.h"
#include "geometry.h"

/* Convolution straight from its definition, with groups: the smallest code and no scratch.

   weights: [out_c][kernel_h][kernel_w][in_c / groups]. `out` may overlap `in` as `overlap` of the kernel says. */
RATTI_INLINE void ratti_conv_direct(const int8_t *in, int8_t *out, const int8_t *weights,
                                    const ratti_channel *channels, int32_t row_begin, int32_t row_end,
                                    const ratti_conv s)
{
    const int32_t group_in = s.in_c / s.groups;
    int32_t oy, ox, o, ky, kx, c;
    for (oy = row_begin; oy < row_end; ++oy) {
        for (ox = 0; ox < s.out_w; ++ox) {
            int8_t *pixel = out + (oy * s.out_w + ox) * s.out_c;
            const int8_t *w = weights;
            for (o = 0; o < s.out_c; ++o) {
                const int8_t *group = in + ratti_conv_first(s, o);
                int32_t acc = channels[o].bias;
                for (ky = 0; ky < s.kernel_h; ++ky) {
                    const int32_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
                    for (kx = 0; kx < s.kernel_w; ++kx) {
                        const int32_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
                        const int32_t inside = y >= 0 && y < s.in_h && x >= 0 && x < s.in_w;
                        const int8_t *source = group + (y * s.in_w + x) * s.in_c;
                        for (c = 0; c < group_in; ++c) {
                            acc += ratti_multiply(*w++, inside ? source[c] : s.in_zero);
                        }
                    }
                }
                pixel[o] = ratti_output_code(acc, channels[o].multiplier, channels[o].adjust, s.out);
            }
        }
    }
}
