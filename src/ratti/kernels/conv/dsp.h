#include "../support/dsp.h"
#include "geometry.h"

/* Convolution with the dual 16-bit multiply of Armv7E-M and Armv8-M: four output channels by two pixels, the weights of
   two channels in each halfword.

   A halfword holds 256 * w1 + w0. Multiplying it as it is accumulates 256 * S1 + S0; multiplying its sign-extended
   low byte accumulates S0. So one sign extension serves four weights that take four bytes of flash. Exact while
   |S1 + bias1| < 2^23, which the packer proves.

   weights: tiles of [depth / 2][2] words for four channels; depth is padded with zeros to a multiple of four, channels too.
   columns: scratch for the windows of two pixels as int16, `depth` each; words of the two pixels alternate, so that one
   load takes both. Elements of each four lie in the order 0 2 1 3, as two sign extensions leave them. Behind them, where
   in_c is no multiple of four, a window as bytes. `out` must not overlap `in`. */
RATTI_INLINE int32_t ratti_dsp_depth(ratti_conv s)
{
    return (ratti_conv_depth(s) + 3) & ~3;
}

/* `count` codes to int16, every `pixels`-th word; the last word of a count that is no multiple of four holds zeros. */
RATTI_INLINE int16_t *ratti_dsp_expand(const int8_t *source, int16_t *column, const int32_t count,
                                       const int32_t pixels)
{
    int32_t c;
    for (c = 0; c < count; c += 4) {
        uint32_t bytes = 0;
        ratti_copy(&bytes, source + c, count - c < 4 ? (size_t)(count - c) : 4);
        ratti_store_word(column, ratti_even_bytes(bytes));
        ratti_store_word(column + 2 * pixels, ratti_odd_bytes(bytes));
        column += 4 * pixels;
    }
    return column;
}

RATTI_INLINE int16_t *ratti_dsp_zero(int16_t *column, const int32_t count, const int32_t pixels, int32_t zero)
{
    int32_t c;
    for (c = 0; c < count; c += 2) {
        ratti_store_word(column, ((uint32_t)zero & 0xffffu) * 0x10001u);
        column += 2 * pixels;
    }
    return column;
}

/* The window of one output pixel, for in_c a multiple of four. */
RATTI_INLINE void ratti_dsp_column(const int8_t *in, int16_t *column, int32_t top, int32_t left, const ratti_conv s,
                                   const int32_t pixels)
{
    int32_t ky, kx;
    for (ky = 0; ky < s.kernel_h; ++ky) {
        const int32_t y = top + ky * s.dilation_h;
        if (y < 0 || y >= s.in_h) {
            column = ratti_dsp_zero(column, s.kernel_w * s.in_c, pixels, s.in_zero);
        } else if (s.dilation_w == 1 && left >= 0 && left + s.kernel_w <= s.in_w) {
            column = ratti_dsp_expand(in + (y * s.in_w + left) * s.in_c, column, s.kernel_w * s.in_c, pixels);
        } else {
            for (kx = 0; kx < s.kernel_w; ++kx) {
                const int32_t x = left + kx * s.dilation_w;
                if (x >= 0 && x < s.in_w) {
                    column = ratti_dsp_expand(in + (y * s.in_w + x) * s.in_c, column, s.in_c, pixels);
                } else {
                    column = ratti_dsp_zero(column, s.in_c, pixels, s.in_zero);
                }
            }
        }
    }
}

/* Sums of two channel pairs: for each pixel S0 and 256 * S1 + S0. */
typedef struct {
    int32_t low[2][2], both[2][2]; /* [channel pair][pixel] */
} ratti_dsp_sums;

#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
/* Thirteen instructions for sixteen products; all registers are in use. */
RATTI_INLINE void ratti_dsp_multiply_pair(const int16_t *columns, const uint32_t *weights, int32_t depth,
                                          ratti_dsp_sums *s, const int32_t unroll)
{
    const int16_t *end = columns + 2 * depth;
    uint32_t x0, x1, w;
    __asm__ volatile(
        "1:\n"
        ".set ratti_step, 0\n"
        ".rept %c[unroll]\n"
        "ldrd %[x0], %[x1], [%[x], #8 * ratti_step]\n"
        "ldr %[w], [%[q], #8 * ratti_step]\n"
        "smlad %[b00], %[w], %[x0], %[b00]\n"
        "smlad %[b01], %[w], %[x1], %[b01]\n"
        "sxtb16 %[w], %[w]\n"
        "smlad %[l00], %[w], %[x0], %[l00]\n"
        "smlad %[l01], %[w], %[x1], %[l01]\n"
        "ldr %[w], [%[q], #8 * ratti_step + 4]\n"
        "smlad %[b10], %[w], %[x0], %[b10]\n"
        "smlad %[b11], %[w], %[x1], %[b11]\n"
        "sxtb16 %[w], %[w]\n"
        "smlad %[l10], %[w], %[x0], %[l10]\n"
        "smlad %[l11], %[w], %[x1], %[l11]\n"
        ".set ratti_step, ratti_step + 1\n"
        ".endr\n"
        "adds %[x], #8 * %c[unroll]\n"
        "adds %[q], #8 * %c[unroll]\n"
        "cmp %[x], %[end]\n"
        "bne 1b\n"
        : [x0] "=&r"(x0), [x1] "=&r"(x1), [w] "=&r"(w), [x] "+r"(columns), [q] "+r"(weights),
          [l00] "+r"(s->low[0][0]), [l01] "+r"(s->low[0][1]), [l10] "+r"(s->low[1][0]), [l11] "+r"(s->low[1][1]),
          [b00] "+r"(s->both[0][0]), [b01] "+r"(s->both[0][1]), [b10] "+r"(s->both[1][0]), [b11] "+r"(s->both[1][1])
        : [end] "r"(end), [unroll] "i"(unroll)
        : "cc", "memory");
}
#endif

RATTI_INLINE void ratti_dsp_multiply(const int16_t *columns, const uint32_t *weights, ratti_dsp_sums *s,
                                     const int32_t depth, const int32_t pixels, const int32_t pairs)
{
    int32_t i, k, p;
#if defined(__ARM_FEATURE_DSP) && defined(__OPTIMIZE__)
    if (pixels == 2 && pairs == 2) {
        if (depth <= 40) {
            ratti_dsp_multiply_pair(columns, weights, depth, s, depth / 2);
        } else if (depth % 16 == 0) {
            ratti_dsp_multiply_pair(columns, weights, depth, s, 8);
        } else if (depth % 8 == 0) {
            ratti_dsp_multiply_pair(columns, weights, depth, s, 4);
        } else {
            ratti_dsp_multiply_pair(columns, weights, depth, s, 2);
        }
        return;
    }
#endif
    for (i = 0; i < depth; i += 2) {
        uint32_t x[2];
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            x[p] = ratti_load_word(columns + 2 * p);
        }
        RATTI_UNROLL
        for (k = 0; k < pairs; ++k) {
            const uint32_t w = weights[k], w_low = ratti_even_bytes(w);
            RATTI_UNROLL
            for (p = 0; p < pixels; ++p) {
                s->both[k][p] = ratti_dual_multiply(w, x[p], s->both[k][p]);
                s->low[k][p] = ratti_dual_multiply(w_low, x[p], s->low[k][p]);
            }
        }
        columns += 2 * pixels;
        weights += 2;
    }
}

/* The first `store` of four channels, of one or two pixels. */
RATTI_INLINE void ratti_dsp_tile(const int16_t *columns, int8_t *out, const uint32_t *weights,
                                 const ratti_channel *channels, const ratti_conv s, const int32_t pixels,
                                 const int32_t store)
{
    const int32_t pairs = (store + 1) / 2;
    ratti_dsp_sums sums;
    int32_t k, p;
    RATTI_UNROLL
    for (k = 0; k < pairs; ++k) {
        const int32_t lower = channels[2 * k].bias;
        const uint32_t upper = 2 * k + 1 < store ? (uint32_t)channels[2 * k + 1].bias << 8 : 0;
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            sums.low[k][p] = lower;
            sums.both[k][p] = (int32_t)((uint32_t)lower + upper);
        }
    }
    ratti_dsp_multiply(columns, weights, &sums, ratti_dsp_depth(s), pixels, pairs);
    RATTI_UNROLL
    for (k = 0; k < store; ++k) {
        const ratti_channel c = channels[k];
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            const int32_t first = sums.low[k / 2][p];
            const int32_t acc = k % 2 ? (int32_t)((uint32_t)sums.both[k / 2][p] - (uint32_t)first) >> 8 : first;
            out[p * s.out_c + k] = ratti_output_code(acc, c.multiplier, c.adjust, s.out);
        }
    }
}

/* All output channels of one or two pixels. */
RATTI_INLINE void ratti_dsp_pixels(const int8_t *in, int16_t *columns, int8_t *out, const uint32_t *weights,
                                   const ratti_channel *channels, int32_t pixel, const ratti_conv s,
                                   const int32_t pixels)
{
    const int32_t depth = ratti_dsp_depth(s);
    int32_t o, p;
    for (p = 0; p < pixels; ++p) {
        const int32_t top = (pixel + p) / s.out_w * s.stride_h - s.pad_top;
        const int32_t left = (pixel + p) % s.out_w * s.stride_w - s.pad_left;
        int16_t *column = columns + 2 * p;
        if (ratti_conv_is_pointwise(s)) {
            ratti_dsp_expand(in + (pixel + p) * s.in_c, column, s.in_c, pixels);
        } else if (s.in_c % 4 == 0) {
            ratti_dsp_column(in, column, top, left, s, pixels);
        } else {
            int8_t *window = (int8_t *)(columns + 2 * depth);
            ratti_conv_window(in, window, top, left, s);
            ratti_dsp_expand(window, column, ratti_conv_depth(s), pixels);
        }
    }
    out += pixel * s.out_c;
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
    const int32_t end = row_end * s.out_w;
    int16_t *columns = (int16_t *)(void *)scratch;
    int32_t pixel = row_begin * s.out_w;
    for (; pixel + 2 <= end; pixel += 2) {
        ratti_dsp_pixels(in, columns, out, weights, channels, pixel, s, 2);
    }
    if (pixel < end) {
        ratti_dsp_pixels(in, columns, out, weights, channels, pixel, s, 1);
    }
}
