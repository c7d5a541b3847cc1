#include "core.h"

/* The vector instructions of Armv8.1-M (MVE) that its kernels are built on; plain C elsewhere, so that the same file
   runs anywhere. Four channels are four lanes of 32 bits. */
#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>
#endif

#if defined(__ARM_FEATURE_MVE)
/* The first `count` of sixteen bytes, or of four words that lie `offsets` bytes from `at`; zeros behind them. */
RATTI_INLINE int8x16_t ratti_mve_bytes(const int8_t *at, const int32_t count)
{
    return count == 16 ? vldrbq_s8(at) : vldrbq_z_s8(at, vctp8q((uint32_t)count));
}

RATTI_INLINE int32x4_t ratti_mve_words(const int32_t *at, uint32x4_t offsets, const int32_t count)
{
    return count == 4 ? vldrwq_gather_offset_s32(at, offsets)
                      : vldrwq_gather_offset_z_s32(at, offsets, vctp32q((uint32_t)count));
}
#endif

/* sums[k] = the product of `x` and row k of `rows`, which lie `depth` bytes apart; of `count` rows, up to four. */
RATTI_INLINE void ratti_mve_products(const int8_t *x, const int8_t *rows, const int32_t depth, const int32_t count,
                                     int32_t sums[4])
{
    const int8_t *w[4];
    int32_t k;
    RATTI_UNROLL
    for (k = 0; k < 4; ++k) {
        w[k] = k < count ? rows + k * depth : rows; /* what has no row of its own is not stored */
    }
#if defined(__ARM_FEATURE_MVE)
    int32_t a = 0, b = 0, c = 0, d = 0, left;
    for (left = depth; left >= 16; left -= 16) {
        const int8x16_t v = vldrbq_s8(x);
        a = vmladavaq_s8(a, v, vldrbq_s8(w[0]));
        b = vmladavaq_s8(b, v, vldrbq_s8(w[1]));
        c = vmladavaq_s8(c, v, vldrbq_s8(w[2]));
        d = vmladavaq_s8(d, v, vldrbq_s8(w[3]));
        x += 16, w[0] += 16, w[1] += 16, w[2] += 16, w[3] += 16;
    }
    if (depth % 16) {
        const int8x16_t v = ratti_mve_bytes(x, depth % 16);
        a = vmladavaq_s8(a, v, ratti_mve_bytes(w[0], depth % 16));
        b = vmladavaq_s8(b, v, ratti_mve_bytes(w[1], depth % 16));
        c = vmladavaq_s8(c, v, ratti_mve_bytes(w[2], depth % 16));
        d = vmladavaq_s8(d, v, ratti_mve_bytes(w[3], depth % 16));
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
#else
    RATTI_UNROLL
    for (k = 0; k < 4; ++k) {
        int32_t c, sum = 0;
        for (c = 0; c < depth; ++c) {
            sum += x[c] * w[k][c];
        }
        sums[k] = sum;
    }
#endif
}

#if defined(__ARM_FEATURE_MVE)
/* Rounds sums without bias to codes, in core.h's three ways: VMULH is the upper half of a product, VQRDMULH twice that
   with ties upward, VRSHL a shift with ties upward; one less for what is negative makes them away from zero.
   The lanes are the first `count` of channels that lie `apart` from each other. */
RATTI_INLINE void ratti_mve_store_lanes(int32x4_t sums, int8_t *out, const ratti_channel *channels,
                                        const int32_t apart, const int32_t count, const ratti_output o)
{
    const uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)apart);
    const uint32x4_t offsets = vmulq_n_u32(places, sizeof(ratti_channel));
    const int32x4_t multiplier = ratti_mve_words(&channels->multiplier, offsets, count);
    const int32x4_t adjust = ratti_mve_words(&channels->adjust, offsets, count);
    int32x4_t x = vaddq_s32(sums, ratti_mve_words(&channels->bias, offsets, count));
    if (o.rounding == RATTI_SINGLE) {
        x = vaddq_s32(vmulhq_s32(x, multiplier), adjust);
    } else if (o.rounding == RATTI_DOUBLE) {
        x = vqrdmulhq_s32(x, multiplier);
        x = vaddq_n_s32(vrshlq_s32(vaddq_s32(x, vshrq_n_s32(x, 31)), vnegq_s32(adjust)), o.zero);
    } else {
        int32_t acc[4], k;
        vst1q_s32(acc, x);
        for (k = 0; k < count; ++k) {
            const ratti_channel c = channels[k * apart];
            acc[k] = ratti_rescale_general(acc[k], c.multiplier, c.adjust) + o.zero;
        }
        x = vld1q_z_s32(acc, vctp32q((uint32_t)count));
    }
    x = vminq_s32(vmaxq_s32(x, vdupq_n_s32(o.low)), vdupq_n_s32(o.high));
    if (apart == 1 && count == 4) {
        vstrbq_s32(out, x);
    } else if (apart == 1) {
        vstrbq_p_s32(out, x, vctp32q((uint32_t)count));
    } else if (count == 4) {
        vstrbq_scatter_offset_s32(out, places, x);
    } else {
        vstrbq_scatter_offset_p_s32(out, places, x, vctp32q((uint32_t)count));
    }
}
#endif

/* Codes of up to four channels from sums without bias. */
RATTI_INLINE void ratti_mve_store(const int32_t sums[4], int8_t *out, const ratti_channel *channels,
                                  const int32_t count, const ratti_output o)
{
#if defined(__ARM_FEATURE_MVE)
    int32x4_t lanes = vuninitializedq_s32();
    lanes = vsetq_lane_s32(sums[0], lanes, 0);
    lanes = vsetq_lane_s32(sums[1], lanes, 1);
    lanes = vsetq_lane_s32(sums[2], lanes, 2);
    lanes = vsetq_lane_s32(sums[3], lanes, 3);
    ratti_mve_store_lanes(lanes, out, channels, 1, count, o);
#else
    int32_t k;
    for (k = 0; k < count; ++k) {
        out[k] = ratti_output_code(sums[k] + channels[k].bias, channels[k].multiplier, channels[k].adjust, o);
    }
#endif
}
