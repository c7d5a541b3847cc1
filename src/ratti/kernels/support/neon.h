#include "core.h"

/* What the kernels for Arm's application processors share. Eight channels are two vectors of four sums; `ratti_channel`
   records are read in fours, so their tables are padded. Plain C elsewhere, so that the same file runs anywhere. */
#if defined(__ARM_NEON)
#include <arm_neon.h>

/* The first `count` of eight bytes, zeros behind them. */
RATTI_INLINE int8x8_t ratti_neon_bytes(const int8_t *at, const int32_t count)
{
    int8_t bytes[8] = {0};
    if (count == 8) {
        return vld1_s8(at);
    }
    ratti_copy(bytes, at, (size_t)count);
    return vld1_s8(bytes);
}

/* Four values from sums without bias, in core.h's three ways; `c` holds biases, multipliers and adjustments. VQRDMULH
   is the upper half of twice a product with ties upward, VRSHL a shift with ties upward; one less for what is negative
   makes them away from zero. */
RATTI_INLINE int32x4_t ratti_neon_scaled(int32x4_t x, const int32x4x3_t c, const ratti_output o)
{
    x = vaddq_s32(x, c.val[0]);
    if (o.rounding == RATTI_SINGLE) {
        const int64x2_t low = vmull_s32(vget_low_s32(x), vget_low_s32(c.val[1]));
        const int64x2_t high = vmull_s32(vget_high_s32(x), vget_high_s32(c.val[1]));
        return vaddq_s32(vcombine_s32(vshrn_n_s64(low, 32), vshrn_n_s64(high, 32)), c.val[2]);
    }
    if (o.rounding == RATTI_DOUBLE) {
        x = vqrdmulhq_s32(x, c.val[1]);
        x = vrshlq_s32(vaddq_s32(x, vshrq_n_s32(x, 31)), vnegq_s32(c.val[2]));
    } else {
        int32_t acc[4], multiplier[4], adjust[4], k;
        vst1q_s32(acc, x), vst1q_s32(multiplier, c.val[1]), vst1q_s32(adjust, c.val[2]);
        for (k = 0; k < 4; ++k) {
            acc[k] = ratti_rescale_general(acc[k], multiplier[k], adjust[k]);
        }
        x = vld1q_s32(acc);
    }
    return vaddq_s32(x, vdupq_n_s32(o.zero));
}

/* Codes of the first `count` of eight channels, from sums without bias and their constants. */
RATTI_INLINE void ratti_neon_store(const int32x4_t low, const int32x4_t high, int8_t *out, const int32x4x3_t first,
                                   const int32x4x3_t last, const int32_t count, const ratti_output o)
{
    const int16x4_t a = vqmovn_s32(ratti_neon_scaled(low, first, o)), b = vqmovn_s32(ratti_neon_scaled(high, last, o));
    int8x8_t codes = vqmovn_s16(vcombine_s16(a, b));
    if (o.low > -128) {
        codes = vmax_s8(codes, vdup_n_s8((int8_t)o.low));
    }
    if (o.high < 127) {
        codes = vmin_s8(codes, vdup_n_s8((int8_t)o.high));
    }
    if (count == 8) {
        vst1_s8(out, codes);
    } else {
        int8_t bytes[8];
        vst1_s8(bytes, codes);
        ratti_copy(out, bytes, (size_t)count);
    }
}
#endif
