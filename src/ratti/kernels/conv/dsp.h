#include "../support/dsp.h"
#include "geometry.h"

/* Convolution with the dual 16-bit multiply of Armv7E-M and Armv8-M: four output channels by two pixels, the weights of
   two channels in each halfword.

   A halfword holds 256 * w1 + w0. Multiplying it as it is accumulates 256 * S1 + S0; multiplying its sign-extended
   low byte accumulates S0. So one sign extension serves four weights that take four bytes of flash. Exact while
   |S1 + bias1| < 2^23, which the packer proves.

   weights: tiles of [depth / 2][2] words for four channels; depth and channels are padded with zeros.
   columns: scratch for two windows of int16, each `depth` rounded up to even.
   Where in_c is a multiple of four, the channels of each four lie in the order 0 2 1 3, as two sign extensions leave
   them. `out` must not overlap `in`. */
RATTI_INLINE int32_t ratti_dsp_depth(ratti_conv s)
{
    return (ratti_conv_depth(s) + 1) & ~1;
}

/* `count` codes to int16. */
RATTI_INLINE int16_t *ratti_dsp_expand(const int8_t *source, int16_t *column, int32_t count, int32_t by_four)
{
    int32_t c;
    if (by_four) {
        for (c = 0; c < count; c += 4) {
            const uint32_t bytes = ratti_load_word(source + c);
            ratti_store_word(column + c, ratti_even_bytes(bytes));
            ratti_store_word(column + c + 2, ratti_odd_bytes(bytes));
        }
    } else {
        for (c = 0; c < count; ++c) {
            column[c] = source[c];
        }
    }
    return column + count;
}

/* The window of one output pixel; positions outside the input take the zero point. */
static inline void ratti_dsp_column(const int8_t *in, int16_t *column, int32_t pixel, const ratti_conv s)
{
    const int32_t top = pixel / s.out_w * s.stride_h - s.pad_top;
    const int32_t left = pixel % s.out_w * s.stride_w - s.pad_left;
    int32_t ky, kx, c;
    for (ky = 0; ky < s.kernel_h; ++ky) {
        const int32_t y = top + ky * s.dilation_h;
        const int8_t *row = in + y * s.in_w * s.in_c;
        for (kx = 0; kx < s.kernel_w; ++kx) {
            const int32_t x = left + kx * s.dilation_w;
            if (y >= 0 && y < s.in_h && x >= 0 && x < s.in_w) {
                column = ratti_dsp_expand(row + x * s.in_c, column, s.in_c, s.in_c % 4 == 0);
            } else {
                for (c = 0; c < s.in_c; ++c) {
                    *column++ = (int16_t)s.in_zero;
                }
            }
        }
    }
    if (ratti_conv_depth(s) % 2) {
        *column = 0;
    }
}

/* The first `store` of four channels, of one or two pixels. */
RATTI_INLINE void ratti_dsp_tile(const int16_t *columns, int8_t *out, const uint32_t *weights,
                                 const ratti_channel *channels, const ratti_conv s, const int32_t pixels,
                                 const int32_t store)
{
    const int32_t depth = ratti_dsp_depth(s), pairs = (store + 1) / 2;
    const int16_t *end = columns + depth;
    int32_t low[2][2], both[2][2]; /* [channel pair][pixel]: S0 and 256 * S1 + S0 */
    int32_t k, p;
    RATTI_UNROLL
    for (k = 0; k < pairs; ++k) {
        const uint32_t upper = 2 * k + 1 < store ? (uint32_t)channels[2 * k + 1].bias << 8 : 0;
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            low[k][p] = channels[2 * k].bias;
            both[k][p] = (int32_t)((uint32_t)low[k][p] + upper);
        }
    }
    do {
        uint32_t x[2];
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            x[p] = ratti_load_word(columns + p * depth);
        }
        RATTI_UNROLL
        for (k = 0; k < pairs; ++k) {
            const uint32_t w = weights[k], w_low = ratti_even_bytes(w);
            RATTI_UNROLL
            for (p = 0; p < pixels; ++p) {
                both[k][p] = ratti_dual_multiply(w, x[p], both[k][p]);
                low[k][p] = ratti_dual_multiply(w_low, x[p], low[k][p]);
            }
        }
        columns += 2;
        weights += 2;
    } while (columns != end);
    RATTI_UNROLL
    for (k = 0; k < store; ++k) {
        const ratti_channel c = channels[k];
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            const int32_t first = low[k / 2][p];
            const int32_t acc = k % 2 ? (int32_t)((uint32_t)both[k / 2][p] - (uint32_t)first) >> 8 : first;
            out[p * s.out_c + k] = ratti_output_code(acc, c.multiplier, c.shift, s.out);
        }
    }
}

/* All output channels of one or two pixels. */
RATTI_INLINE void ratti_dsp_pixels(const int16_t *columns, int8_t *out, const uint32_t *weights,
                                   const ratti_channel *channels, const ratti_conv s, const int32_t pixels)
{
    const int32_t depth = ratti_dsp_depth(s);
    int32_t o;
    for (o = 0; o + 4 <= s.out_c; o += 4) {
        ratti_dsp_tile(columns, out + o, weights, channels + o, s, pixels, 4);
        weights += depth;
    }
    if (s.out_c % 4) {
        ratti_dsp_tile(columns, out + o, weights, channels + o, s, pixels, s.out_c % 4);
    }
}

RATTI_INLINE void ratti_conv_dsp(const int8_t *in, int8_t *out, const uint32_t *weights,
                                 const ratti_channel *channels, int8_t *scratch, int32_t row_begin, int32_t row_end,
                                 const ratti_conv s)
{
    const int32_t depth = ratti_dsp_depth(s), end = row_end * s.out_w;
    int16_t *columns = (int16_t *)(void *)scratch;
    int32_t pixel = row_begin * s.out_w, p;
    while (pixel < end) {
        const int32_t count = end - pixel < 2 ? 1 : 2;
        for (p = 0; p < count; ++p) {
            if (ratti_conv_is_pointwise(s)) {
                int16_t *tail =
                    ratti_dsp_expand(in + (pixel + p) * s.in_c, columns + p * depth, s.in_c, s.in_c % 4 == 0);
                if (s.in_c % 2) {
                    *tail = 0;
                }
            } else {
                ratti_dsp_column(in, columns + p * depth, pixel + p, s);
            }
        }
        if (count == 2) {
            ratti_dsp_pixels(columns, out + pixel * s.out_c, weights, channels, s, 2);
        } else {
            ratti_dsp_pixels(columns, out + pixel * s.out_c, weights, channels, s, 1);
        }
        pixel += count;
    }
}
