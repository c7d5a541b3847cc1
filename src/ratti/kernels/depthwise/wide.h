#include "../support/wide.h"
#include "geometry.h"

/* Depthwise convolution of int16 activations with int8 weights, straight from its definition; sums have 64 bits.

   weights: [kernel_h][kernel_w][in_c * multiplier]. `out` must not overlap `in`. */
RATTI_INLINE void ratti_depthwise_wide(const int8_t *bytes_in, int8_t *bytes_out, const int8_t *weights,
                                         const ratti_wide_channel *channels, int32_t row_begin, int32_t row_end,
                                         const ratti_depthwise s)
{
    const int32_t out_c = s.in_c * s.multiplier;
    const int16_t *in = (const int16_t *)(const void *)bytes_in;
    int16_t *out = (int16_t *)(void *)bytes_out;
    int32_t oy, ox, o, ky, kx;
    for (oy = row_begin; oy < row_end; ++oy) {
        for (ox = 0; ox < s.out_w; ++ox) {
            int16_t *pixel = out + (oy * s.out_w + ox) * out_c;
            for (o = 0; o < out_c; ++o) {
                const int8_t *w = weights + o;
                const int16_t *plane = in + o / s.multiplier;
                int64_t acc = channels[o].bias;
                for (ky = 0; ky < s.kernel_h; ++ky) {
                    const int32_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
                    for (kx = 0; kx < s.kernel_w; ++kx) {
                        const int32_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
                        const int32_t inside = y >= 0 && y < s.in_h && x >= 0 && x < s.in_w;
                        acc += *w * (inside ? plane[(y * s.in_w + x) * s.in_c] : 0);
                        w += out_c;
                    }
                }
                pixel[o] = ratti_wide_code(acc, channels[o].multiplier, channels[o].shift, s.out.low, s.out.high);
            }
        }
    }
}
