#include "../support/mve.h"
#include "geometry.h"

/* Depthwise convolution with vectors of Armv8.1-M: sixteen channels at a time. Products of two taps are added as int16
   before they are widened, which is exact because no weight is -128.

   weights: [kernel_h][kernel_w][in_c]; the multiplier is 1.
   border: scratch for in_c bytes, which stand for a pixel outside the input. `out` may overlap `in` as
   `overlap` of the kernel says. */
enum { RATTI_MVE_TAPS = 25 };

/* The first `count` of sixteen channels; `taps` are the window's pixels, at the first of the channels plus `c`. */
RATTI_INLINE void ratti_depthwise_mve_channels(const int8_t *const taps[RATTI_MVE_TAPS], int32_t c, int8_t *out,
                                               const int8_t *weights, const ratti_channel *channels,
                                               const int32_t count, const ratti_depthwise s)
{
    const int32_t n = s.kernel_h * s.kernel_w;
    int32_t t, k;
#if defined(__ARM_FEATURE_MVE)
    int32x4_t sums[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}; /* channels 4 * lane + k */
    RATTI_UNROLL
    for (t = 0; t < n; t += 2) {
        int8x16_t x = ratti_mve_bytes(taps[t] + c, count), w = ratti_mve_bytes(weights + t * s.in_c, count);
        int16x8_t even = vmullbq_int_s8(x, w), odd = vmulltq_int_s8(x, w);
        if (t + 1 < n) {
            x = ratti_mve_bytes(taps[t + 1] + c, count), w = ratti_mve_bytes(weights + (t + 1) * s.in_c, count);
            even = vaddq_s16(even, vmullbq_int_s8(x, w));
            odd = vaddq_s16(odd, vmulltq_int_s8(x, w));
        }
        sums[0] = vaddq_s32(sums[0], vmovlbq_s16(even));
        sums[1] = vaddq_s32(sums[1], vmovlbq_s16(odd));
        sums[2] = vaddq_s32(sums[2], vmovltq_s16(even));
        sums[3] = vaddq_s32(sums[3], vmovltq_s16(odd));
    }
    RATTI_UNROLL
    for (k = 0; k < 4; ++k) {
        ratti_mve_store_lanes(sums[k], out + k, channels + k, 4, (count - k + 3) / 4, s.out);
    }
#else
    for (k = 0; k < count; ++k) {
        int32_t sum = channels[k].bias;
        for (t = 0; t < n; ++t) {
            sum += taps[t][c + k] * weights[t * s.in_c + k];
        }
        out[k] = ratti_output_code(sum, channels[k].multiplier, channels[k].adjust, s.out);
    }
#endif
}

RATTI_INLINE void ratti_depthwise_mve(const int8_t *in, int8_t *out, const int8_t *weights,
                                      const ratti_channel *channels, int8_t *border, int32_t row_begin,
                                      int32_t row_end, const ratti_depthwise s)
{
    int32_t oy, ox, ky, kx, c;
    ratti_fill(border, (uint8_t)s.in_zero, (size_t)s.in_c);
    out += row_begin * s.out_w * s.in_c;
    for (oy = row_begin; oy < row_end; ++oy) {
        for (ox = 0; ox < s.out_w; ++ox) {
            const int8_t *taps[RATTI_MVE_TAPS];
            for (ky = 0; ky < s.kernel_h; ++ky) {
                const int32_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
                for (kx = 0; kx < s.kernel_w; ++kx) {
                    const int32_t x = ox * s.stride_w - s.pad_left + kx * s.dilation_w;
                    const int32_t inside = y >= 0 && y < s.in_h && x >= 0 && x < s.in_w;
                    taps[ky * s.kernel_w + kx] = inside ? in + (y * s.in_w + x) * s.in_c : border;
                }
            }
            for (c = 0; c + 16 <= s.in_c; c += 16) {
                ratti_depthwise_mve_channels(taps, c, out + c, weights + c, channels + c, 16, s);
            }
            if (s.in_c % 16) {
                ratti_depthwise_mve_channels(taps, c, out + c, weights + c, channels + c, s.in_c % 16, s);
            }
            out += s.in_c;
        }
    }
}
