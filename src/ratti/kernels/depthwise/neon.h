#include "../support/neon.h"
#include "geometry.h"

/* Depthwise convolution with the vectors of Arm's application processors: eight channels of up to four pixels of a row
   at a time. Products of two taps are added as int16 before they are widened, which is exact because no weight is
   -128.

   weights: [in_c / 8][kernel_h][kernel_w][8], with zeros behind the last channel; channels: padded to eights; the
   multiplier is 1.
   border: scratch for in_c bytes, which stand for a pixel outside the input. `out` may overlap `in` as `overlap` of
   the kernel says. */
enum { RATTI_NEON_TAPS = 25, RATTI_NEON_COLUMNS = 4 };

/* The first `count` of eight channels of `pixels` pixels, `apart` bytes from each other in the input. `taps` are what
   the first one's window covers, at the first of the channels less `c`. */
RATTI_INLINE void ratti_neon_depthwise(const int8_t *const taps[RATTI_NEON_TAPS], const int32_t c,
                                       const int32_t apart, const int32_t pixels, int8_t *out, const int8_t *weights,
                                       const ratti_channel *channels, const int32_t count, const ratti_depthwise s)
{
    const int32_t n = s.kernel_h * s.kernel_w;
    int32_t p, t;
#if defined(__ARM_NEON)
    const int32x4x3_t first = vld3q_s32(&channels->bias), last = vld3q_s32(&channels[4].bias);
    int32x4_t sums[RATTI_NEON_COLUMNS][2];
    RATTI_UNROLL
    for (p = 0; p < pixels; ++p) {
        sums[p][0] = sums[p][1] = vdupq_n_s32(0);
    }
    RATTI_UNROLL
    for (t = 0; t < n; t += 2) {
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            const int32_t at = p * apart + c;
            int16x8_t product = vmull_s8(ratti_neon_bytes(taps[t] + at, count), vld1_s8(weights + 8 * t));
            if (t + 1 < n) {
                product = vmlal_s8(product, ratti_neon_bytes(taps[t + 1] + at, count), vld1_s8(weights + 8 * t + 8));
            }
            sums[p][0] = vaddw_s16(sums[p][0], vget_low_s16(product));
            sums[p][1] = vaddw_s16(sums[p][1], vget_high_s16(product));
        }
    }
    RATTI_UNROLL
    for (p = 0; p < pixels; ++p) {
        ratti_neon_store(sums[p][0], sums[p][1], out + p * s.in_c, first, last, count, s.out);
    }
#else
    for (p = 0; p < pixels; ++p) {
        int32_t k;
        for (k = 0; k < count; ++k) {
            int32_t sum = channels[k].bias;
            for (t = 0; t < n; ++t) {
                sum += taps[t][p * apart + c + k] * weights[8 * t + k];
            }
            out[p * s.in_c + k] = ratti_output_code(sum, channels[k].multiplier, channels[k].adjust, s.out);
        }
    }
#endif
}

/* All channels of pixels (oy, ox) and, of the same row, those behind it. */
RATTI_INLINE void ratti_neon_columns(const int8_t *in, int8_t *out, const int8_t *weights,
                                     const ratti_channel *channels, const int8_t *border, const int32_t oy,
                                     const int32_t ox, const int32_t pixels, const int32_t is_inside,
                                     const ratti_depthwise s)
{
    const int32_t n = s.kernel_h * s.kernel_w, apart = s.stride_w * s.in_c;
    const int32_t top = oy * s.stride_h - s.pad_top, left = ox * s.stride_w - s.pad_left;
    const int8_t *taps[RATTI_NEON_TAPS];
    int32_t c, ky, kx;
    RATTI_UNROLL
    for (ky = 0; ky < s.kernel_h; ++ky) {
        const int32_t y = top + ky * s.dilation_h;
        RATTI_UNROLL
        for (kx = 0; kx < s.kernel_w; ++kx) {
            const int32_t x = left + kx * s.dilation_w;
            const int32_t exists = is_inside || (y >= 0 && y < s.in_h && x >= 0 && x < s.in_w);
            taps[ky * s.kernel_w + kx] = exists ? in + (y * s.in_w + x) * s.in_c : border;
        }
    }
    RATTI_ROLLED
    for (c = 0; c + 8 <= s.in_c; c += 8) {
        ratti_neon_depthwise(taps, c, apart, pixels, out + c, weights + c * n, channels + c, 8, s);
    }
    if (s.in_c % 8) {
        ratti_neon_depthwise(taps, c, apart, pixels, out + c, weights + c * n, channels + c, s.in_c % 8, s);
    }
}

RATTI_INLINE void ratti_depthwise_neon(const int8_t *in, int8_t *out, const int8_t *weights,
                                       const ratti_channel *channels, int8_t *border, int32_t row_begin,
                                       int32_t row_end, const ratti_depthwise s)
{
    const int32_t reach_h = (s.kernel_h - 1) * s.dilation_h, reach_w = (s.kernel_w - 1) * s.dilation_w;
    int32_t oy, ox;
    ratti_fill(border, (uint8_t)s.in_zero, (size_t)s.in_c);
    for (oy = row_begin; oy < row_end; ++oy) {
        const int32_t top = oy * s.stride_h - s.pad_top, rows_exist = top >= 0 && top + reach_h < s.in_h;
        for (ox = 0; ox < s.out_w;) {
            const int32_t left = ox * s.stride_w - s.pad_left;
            const int32_t right = left + (RATTI_NEON_COLUMNS - 1) * s.stride_w + reach_w;
            int8_t *to = out + (oy * s.out_w + ox) * s.in_c;
            if (rows_exist && left >= 0 && right < s.in_w && ox + RATTI_NEON_COLUMNS <= s.out_w) {
                ratti_neon_columns(in, to, weights, channels, border, oy, ox, RATTI_NEON_COLUMNS, 1, s);
                ox += RATTI_NEON_COLUMNS;
            } else {
                ratti_neon_columns(in, to, weights, channels, border, oy, ox, 1, 0, s);
                ++ox;
            }
        }
    }
}
