#include "../support/neon.h"
#include "geometry.h"

/* Convolution with the vectors of Arm's application processors: eight output channels of four pixels at a time. With
   dot products an instruction takes four elements of four channels; without, products of two elements are added as
   int16 before they are widened, which is exact because no weight is -128.

   weights: [out_c / 8][depth / 4][8][4], with zeros behind the last channel and the last element.
   channels: padded to eights.
   windows: scratch for four windows, where the convolution is not pointwise. `out` may overlap `in` as `overlap` of
   the kernel says. */
enum { RATTI_NEON_PIXELS = 4 };

#if defined(__ARM_NEON)
/* Four elements, or the last ones and zeros, in both halves of a vector's halves. */
RATTI_INLINE int32x4_t ratti_neon_quad(const int8_t *at, const int32_t count)
{
    int32_t word = 0;
    ratti_copy(&word, at, (size_t)count);
    return vdupq_n_s32(word);
}

#if defined(__ARM_FEATURE_DOTPROD)
#define RATTI_NEON_DOT(lane) \
    RATTI_UNROLL \
    for (p = 0; p < pixels; ++p) { \
        sums[p][0] = vdotq_laneq_s32(sums[p][0], vld1q_s8(w + 32 * (lane)), v[p], lane); \
        sums[p][1] = vdotq_laneq_s32(sums[p][1], vld1q_s8(w + 32 * (lane) + 16), v[p], lane); \
    }

/* Adds the products of `count` elements, up to four. */
RATTI_INLINE void ratti_neon_add_quad(const int8_t *x, const int32_t apart, const int32_t pixels, const int8_t *w,
                                      const int32_t count, int32x4_t sums[RATTI_NEON_PIXELS][2])
{
    const int8x16_t low = vld1q_s8(w), high = vld1q_s8(w + 16);
    int32_t p;
    RATTI_UNROLL
    for (p = 0; p < pixels; ++p) {
        const int8x16_t v = vreinterpretq_s8_s32(ratti_neon_quad(x + p * apart, count));
        sums[p][0] = vdotq_s32(sums[p][0], low, v);
        sums[p][1] = vdotq_s32(sums[p][1], high, v);
    }
}

/* sums[p]: eight channels of each of `pixels` pixels, whose elements begin `apart` bytes from each other. */
RATTI_INLINE void ratti_neon_products(const int8_t *x, const int32_t apart, const int32_t pixels, const int8_t *w,
                                      const int32_t depth, int32x4_t sums[RATTI_NEON_PIXELS][2])
{
    int32_t i, p;
    RATTI_UNROLL
    for (p = 0; p < pixels; ++p) {
        sums[p][0] = sums[p][1] = vdupq_n_s32(0);
    }
    for (i = 0; i + 16 <= depth; i += 16) {
        int8x16_t v[RATTI_NEON_PIXELS];
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            v[p] = vld1q_s8(x + p * apart + i);
        }
        RATTI_NEON_DOT(0)
        RATTI_NEON_DOT(1)
        RATTI_NEON_DOT(2)
        RATTI_NEON_DOT(3)
        w += 128;
    }
    for (; i + 4 <= depth; i += 4) {
        ratti_neon_add_quad(x + i, apart, pixels, w, 4, sums);
        w += 32;
    }
    if (depth % 4) {
        ratti_neon_add_quad(x + i, apart, pixels, w, depth % 4, sums);
    }
}
#else
/* The sums of two channels, from two sums of each. */
RATTI_INLINE int32x2_t ratti_neon_pairs(const int32x4_t x)
{
    return vpadd_s32(vget_low_s32(x), vget_high_s32(x));
}

RATTI_INLINE void ratti_neon_add_quad(const int8_t *x, const int32_t apart, const int32_t pixels, const int8_t *w,
                                      const int32_t count, int32x4_t acc[RATTI_NEON_PIXELS][4])
{
    int32_t k, p;
    RATTI_UNROLL
    for (p = 0; p < pixels; ++p) {
        const int8x8_t v = vreinterpret_s8_s32(vget_low_s32(ratti_neon_quad(x + p * apart, count)));
        RATTI_UNROLL
        for (k = 0; k < 4; ++k) {
            acc[p][k] = vpadalq_s16(acc[p][k], vmull_s8(vld1_s8(w + 8 * k), v));
        }
    }
}

RATTI_INLINE void ratti_neon_products(const int8_t *x, const int32_t apart, const int32_t pixels, const int8_t *w,
                                      const int32_t depth, int32x4_t sums[RATTI_NEON_PIXELS][2])
{
    int32x4_t acc[RATTI_NEON_PIXELS][4]; /* two channels each, two sums a channel */
    int32_t i, k, p;
    RATTI_UNROLL
    for (p = 0; p < pixels; ++p) {
        acc[p][0] = acc[p][1] = acc[p][2] = acc[p][3] = vdupq_n_s32(0);
    }
    for (i = 0; i + 8 <= depth; i += 8) {
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            const int32x2_t v = vreinterpret_s32_s8(vld1_s8(x + p * apart + i));
            const int8x8_t one = vreinterpret_s8_s32(vdup_lane_s32(v, 0));
            const int8x8_t two = vreinterpret_s8_s32(vdup_lane_s32(v, 1));
            RATTI_UNROLL
            for (k = 0; k < 4; ++k) {
                const int16x8_t product = vmull_s8(vld1_s8(w + 8 * k), one);
                acc[p][k] = vpadalq_s16(acc[p][k], vmlal_s8(product, vld1_s8(w + 32 + 8 * k), two));
            }
        }
        w += 64;
    }
    for (; i + 4 <= depth; i += 4) {
        ratti_neon_add_quad(x + i, apart, pixels, w, 4, acc);
        w += 32;
    }
    if (depth % 4) {
        ratti_neon_add_quad(x + i, apart, pixels, w, depth % 4, acc);
    }
    RATTI_UNROLL
    for (p = 0; p < pixels; ++p) {
        sums[p][0] = vcombine_s32(ratti_neon_pairs(acc[p][0]), ratti_neon_pairs(acc[p][1]));
        sums[p][1] = vcombine_s32(ratti_neon_pairs(acc[p][2]), ratti_neon_pairs(acc[p][3]));
    }
}
#endif

/* The first `count` of eight channels of `pixels` pixels. */
RATTI_INLINE void ratti_neon_tile(const int8_t *x, const int32_t apart, const int32_t pixels, int8_t *out,
                                  const int8_t *w, const ratti_channel *channels, const int32_t depth,
                                  const int32_t count, const ratti_conv s)
{
    const int32x4x3_t first = vld3q_s32(&channels->bias), last = vld3q_s32(&channels[4].bias);
    int32x4_t sums[RATTI_NEON_PIXELS][2];
    int32_t p;
    ratti_neon_products(x, apart, pixels, w, depth, sums);
    RATTI_UNROLL
    for (p = 0; p < pixels; ++p) {
        ratti_neon_store(sums[p][0], sums[p][1], out + p * s.out_c, first, last, count, s.out);
    }
}
#else
RATTI_INLINE void ratti_neon_tile(const int8_t *x, const int32_t apart, const int32_t pixels, int8_t *out,
                                  const int8_t *w, const ratti_channel *channels, const int32_t depth,
                                  const int32_t count, const ratti_conv s)
{
    int32_t sums[RATTI_NEON_PIXELS][8] = {{0}};
    int32_t i, k, p;
    for (p = 0; p < pixels; ++p) {
        for (i = 0; i < depth; ++i) {
            for (k = 0; k < 8; ++k) {
                sums[p][k] += x[p * apart + i] * w[i / 4 * 32 + 4 * k + i % 4];
            }
        }
    }
    for (p = 0; p < pixels; ++p) {
        for (k = 0; k < count; ++k) {
            const ratti_channel c = channels[k];
            out[p * s.out_c + k] = ratti_output_code(sums[p][k] + c.bias, c.multiplier, c.adjust, s.out);
        }
    }
}
#endif

/* All channels of `pixels` pixels, the first of which is number `pixel` of the output. */
RATTI_INLINE void ratti_neon_pixels(const int8_t *in, int8_t *out, const int8_t *weights,
                                    const ratti_channel *channels, int8_t *windows, const int32_t pixel,
                                    const int32_t pixels, const ratti_conv s)
{
    const int32_t depth = ratti_conv_depth(s), block = (depth + 3) / 4 * 32;
    const int8_t *x = windows;
    int32_t o, p;
    if (ratti_conv_is_pointwise(s)) {
        x = in + pixel * s.in_c;
    } else {
        for (p = 0; p < pixels; ++p) {
            const int32_t oy = (pixel + p) / s.out_w, ox = (pixel + p) % s.out_w;
            ratti_conv_window(in, windows + p * depth, oy * s.stride_h - s.pad_top, ox * s.stride_w - s.pad_left, s);
        }
    }
    out += pixel * s.out_c;
    RATTI_ROLLED
    for (o = 0; o + 8 <= s.out_c; o += 8) {
        ratti_neon_tile(x, depth, pixels, out + o, weights + o / 8 * block, channels + o, depth, 8, s);
    }
    if (s.out_c % 8) {
        ratti_neon_tile(x, depth, pixels, out + o, weights + o / 8 * block, channels + o, depth, s.out_c % 8, s);
    }
}

RATTI_INLINE void ratti_conv_neon(const int8_t *in, int8_t *out, const int8_t *weights, const ratti_channel *channels,
                                  int8_t *windows, int32_t row_begin, int32_t row_end, const ratti_conv s)
{
    const int32_t end = row_end * s.out_w;
    int32_t pixel = row_begin * s.out_w;
    while (pixel < end) {
        if (end - pixel >= RATTI_NEON_PIXELS) {
            ratti_neon_pixels(in, out, weights, channels, windows, pixel, RATTI_NEON_PIXELS, s);
            pixel += RATTI_NEON_PIXELS;
        } else {
            ratti_neon_pixels(in, out, weights, channels, windows, pixel, 1, s);
            ++pixel;
        }
    }
}
