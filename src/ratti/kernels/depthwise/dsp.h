#include "../support/dsp.h"
#include "plane.h"

/* Depthwise convolution on int16 planes with the dual 16-bit multiply: two outputs of a row at a time share their
   loads, weights stay in registers as pairs. `out` may lie exactly over `in` where every row is computed in one call.

   weights: [in_c][kernel_h][kernel_w], kernel_w 3; dilation and multiplier are 1; stride_w 1 or 2.
   plane: scratch for the rows and columns that all windows cover, as int16, the row length rounded up to even. */
RATTI_INLINE int32_t ratti_dsp_plane_width(ratti_depthwise s)
{
    return (ratti_plane_width(s) + 3) & ~1; /* a last single output reads a whole word */
}

RATTI_INLINE void ratti_dsp_plane_gather(const int8_t *in, int16_t *plane, int32_t top, int32_t rows,
                                         const ratti_depthwise s)
{
    const int32_t width = ratti_dsp_plane_width(s), covered = ratti_plane_width(s) - s.pad_left;
    const int32_t columns = covered < s.in_w ? covered : s.in_w;
    const int32_t first = top < 0 ? -top : 0, last = top + rows > s.in_h ? s.in_h - top : rows;
    const int8_t *source = in + (top + first) * s.in_w * s.in_c;
    int16_t *row = plane + first * width + s.pad_left;
    int32_t y, x;
    for (y = first; y < last; ++y) {
        for (x = 0; x < columns; ++x) {
            row[x] = source[x * s.in_c];
        }
        row += width;
        source += s.in_w * s.in_c;
    }
}

/* acc + a.high * b.low */
RATTI_INLINE int32_t ratti_multiply_high_low(uint32_t a, uint32_t b, int32_t acc)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t y;
    __asm__("smlatb %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(acc));
    return y;
#else
    return acc + (int16_t)(uint16_t)(a >> 16) * (int16_t)(uint16_t)b;
#endif
}

/* acc + a.low * b.high */
RATTI_INLINE int32_t ratti_multiply_low_high(uint32_t a, uint32_t b, int32_t acc)
{
    return ratti_multiply_high_low(b, a, acc);
}

RATTI_INLINE void ratti_depthwise_dsp(const int8_t *in, int8_t *out, const int8_t *weights,
                                      const ratti_channel *channels, int8_t *scratch, int32_t row_begin,
                                      int32_t row_end, const ratti_depthwise s)
{
    const int32_t width = ratti_dsp_plane_width(s);
    const int32_t rows = (row_end - row_begin - 1) * s.stride_h + s.kernel_h;
    const int32_t top = row_begin * s.stride_h - s.pad_top;
    const int32_t step = s.stride_w == 1 ? 2 : 1; /* outputs at a time */
    int16_t *plane = (int16_t *)(void *)scratch;
    int32_t c, k, oy, ox;
    for (k = 0; k < rows * width; ++k) {
        plane[k] = (int16_t)s.in_zero;
    }
    for (c = 0; c < s.in_c; ++c) {
        const ratti_channel channel = channels[c];
        int8_t *pixel = out + row_begin * s.out_w * s.in_c + c;
        uint32_t w01[8], w12[8]; /* weights 0 and 1, and 1 and 2, of each kernel row */
        RATTI_UNROLL
        for (k = 0; k < s.kernel_h; ++k) {
            w01[k] = ratti_pair(weights[3 * k], weights[3 * k + 1]);
            w12[k] = ratti_pair(weights[3 * k + 1], weights[3 * k + 2]);
        }
        weights += 3 * s.kernel_h;
        ratti_dsp_plane_gather(in + c, plane, top, rows, s);
        for (oy = 0; oy < row_end - row_begin; ++oy) {
            const int16_t *window = plane + oy * s.stride_h * width;
            for (ox = 0; ox + step <= s.out_w; ox += step) {
                int32_t acc[2];
                acc[0] = acc[1] = channel.bias;
                RATTI_UNROLL
                for (k = 0; k < s.kernel_h; ++k) {
                    const uint32_t a = ratti_load_word(window + k * width);
                    const uint32_t b = ratti_load_word(window + k * width + 2);
                    acc[0] = ratti_dual_multiply(a, w01[k], acc[0]);
                    acc[0] = ratti_multiply_low_high(b, w12[k], acc[0]);
                    if (step == 2) {
                        acc[1] = ratti_multiply_high_low(a, w01[k], acc[1]);
                        acc[1] = ratti_dual_multiply(b, w12[k], acc[1]);
                    }
                }
                pixel[0] = ratti_output_code(acc[0], channel.multiplier, channel.adjust, s.out);
                if (step == 2) {
                    pixel[s.in_c] = ratti_output_code(acc[1], channel.multiplier, channel.adjust, s.out);
                }
                pixel += step * s.in_c;
                window += 2;
            }
            if (ox < s.out_w) {
                int32_t acc = channel.bias;
                RATTI_UNROLL
                for (k = 0; k < s.kernel_h; ++k) {
                    acc = ratti_dual_multiply(ratti_load_word(window + k * width), w01[k], acc);
                    acc = ratti_multiply_low_high(ratti_load_word(window + k * width + 2), w12[k], acc);
                }
                *pixel = ratti_output_code(acc, channel.multiplier, channel.adjust, s.out);
                pixel += s.in_c;
            }
        }
    }
}
