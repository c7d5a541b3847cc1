#include "../support/core.h"

/* Transposed convolution, gathered: an output pixel sums over the input pixels whose windows cover it.

   weights: [out_c][kernel_h][kernel_w][in_c]; the biases hold no zero point. `out` must not overlap `in`. */
typedef struct {
    int32_t in_h, in_w, in_c, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, top, left;
    int32_t in_zero;
    ratti_output out;
} ratti_transpose_sizes;

RATTI_INLINE void ratti_conv_transpose(const int8_t *in, int8_t *out, const int8_t *weights,
                                       const ratti_channel *channels, int32_t row_begin, int32_t row_end,
                                       const ratti_transpose_sizes s)
{
    int32_t oy, ox, o, ky, kx, c;
    for (oy = row_begin; oy < row_end; ++oy) {
        for (ox = 0; ox < s.out_w; ++ox) {
            int8_t *pixel = out + (oy * s.out_w + ox) * s.out_c;
            for (o = 0; o < s.out_c; ++o) {
                int32_t acc = channels[o].bias;
                for (ky = (oy + s.top) % s.stride_h; ky < s.kernel_h; ky += s.stride_h) {
                    const int32_t y = (oy + s.top - ky) / s.stride_h;
                    for (kx = (ox + s.left) % s.stride_w; kx < s.kernel_w; kx += s.stride_w) {
                        const int32_t x = (ox + s.left - kx) / s.stride_w;
                        if (oy + s.top >= ky && y < s.in_h && ox + s.left >= kx && x < s.in_w) {
                            const int8_t *source = in + (y * s.in_w + x) * s.in_c;
                            const int8_t *w = weights + ((o * s.kernel_h + ky) * s.kernel_w + kx) * s.in_c;
                            for (c = 0; c < s.in_c; ++c) {
                                acc += w[c] * (source[c] - s.in_zero);
                            }
                        }
                    }
                }
                pixel[o] = ratti_output_code(acc, channels[o].multiplier, channels[o].adjust, s.out);
            }
        }
    }
}
