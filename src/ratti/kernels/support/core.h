/* What every kernel uses: inlining, constants per channel, and the way from an accumulator to an output code. */
#include "compiler.h"

/* Constants of one output channel. The bias holds the input's zero point already: bias - zero * sum(weights). What
   `multiplier` and `adjust` mean is said by the rounding of the layer. */
typedef struct {
    int32_t bias, multiplier, adjust;
} ratti_channel;

/* How accumulators become output codes.
   RATTI_SINGLE: floor(accumulator * multiplier / 2^32) + adjust. The constants were searched for, and proven to give
   the same code as the two roundings below for every accumulator that the weights allow.
   RATTI_DOUBLE: TFLite's two roundings, for |accumulator| < 2^30 and a shift `adjust` of at least 1 to the right.
   RATTI_GENERAL: the same for any accumulator and any shift; negative ones are to the left. */
enum { RATTI_SINGLE, RATTI_DOUBLE, RATTI_GENERAL };

typedef struct {
    int32_t zero, low, high, rounding;
} ratti_output;

RATTI_INLINE int32_t ratti_clamp(int32_t x, int32_t low, int32_t high)
{
#if defined(__ARM_FEATURE_SAT)
    if (low == -128 && high == 127) {
        int32_t y;
        __asm__("ssat %0, #8, %1" : "=r"(y) : "r"(x));
        return y;
    }
#endif
    return x < low ? low : x > high ? high : x;
}

/* clamp(x >> shift) for a constant shift from 1 to 31 */
RATTI_INLINE int32_t ratti_shift_clamp(int32_t x, const int32_t shift, int32_t low, int32_t high)
{
#if defined(__ARM_FEATURE_SAT) && defined(__OPTIMIZE__)
    if (low == -128 && high == 127) {
        int32_t y;
        __asm__("ssat %0, #8, %1, asr %2" : "=r"(y) : "r"(x), "i"(shift));
        return y;
    }
#endif
    return ratti_clamp(x >> shift, low, high);
}

/* floor(a * b / 2^32) + c for 0 <= b */
RATTI_INLINE int32_t ratti_upper_multiply(int32_t a, int32_t b, int32_t c)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t y;
    __asm__("smmla %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(c));
    return y;
#elif defined(__ARM_ARCH_6M__)
    /* No long multiply: four 16-bit products. */
    const int32_t a_high = a >> 16, b_high = b >> 16;
    const uint32_t a_low = (uint32_t)a & 0xffffu, b_low = (uint32_t)b & 0xffffu;
    const int32_t middle = a_high * (int32_t)b_low + (int32_t)((a_low * b_low) >> 16);
    const uint32_t low = a_low * (uint32_t)b_high + ((uint32_t)middle & 0xffffu);
    return a_high * b_high + (middle >> 16) + (int32_t)(low >> 16) + c;
#else
    return (int32_t)(((int64_t)a * b) >> 32) + c;
#endif
}

/* round(a * b / 2^31), ties upward, for |a| < 2^30 and 0 <= b: the upper word of 2a * b, rounded. */
RATTI_INLINE int32_t ratti_high_multiply(int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t y;
    __asm__("smmulr %0, %1, %2" : "=r"(y) : "r"(a * 2), "r"(b));
    return y;
#elif defined(__ARM_ARCH_6M__)
    /* No long multiply: four 16-bit products. */
    const int32_t twice = a * 2;
    const int32_t a_high = twice >> 16, b_high = b >> 16;
    const uint32_t a_low = (uint32_t)twice & 0xffffu, b_low = (uint32_t)b & 0xffffu;
    const int32_t middle = a_high * (int32_t)b_low + (int32_t)((a_low * b_low) >> 16);
    const uint32_t low = a_low * (uint32_t)b_high + ((uint32_t)middle & 0xffffu);
    return a_high * b_high + (middle >> 16) + (int32_t)(((low >> 15) + 1u) >> 1);
#else
    const int64_t product = (int64_t)(a * 2) * b;
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31);
#endif
}

/* round(x / 2^shift), ties away from zero, for shift >= 1 and |x| < 2^30. */
RATTI_INLINE int32_t ratti_divide_by_power(int32_t x, int32_t shift)
{
    return (x + (x >> 31) + (int32_t)(1u << (shift - 1))) >> shift;
}

/* The same scaling for any accumulator and any shift. */
static inline int32_t ratti_rescale_general(int32_t x, int32_t multiplier, int32_t shift)
{
    int64_t product;
    int32_t high, left = shift < 0 ? -shift : 0, right = shift > 0 ? shift : 0;
    product = (int64_t)(int32_t)((uint32_t)x << left) * multiplier;
    high = (int32_t)((product + (1 << 30)) >> 31);
    if (right > 0) {
        const int64_t half = (int64_t)1 << (right - 1);
        high = (int32_t)(((int64_t)high + half - (high < 0)) >> right);
    }
    return high;
}

/* The code of an accumulator, limited, in any element type. */
RATTI_INLINE int32_t ratti_output_value(int32_t acc, int32_t multiplier, int32_t adjust, ratti_output out)
{
    int32_t x;
    if (out.rounding == RATTI_SINGLE) {
        x = ratti_upper_multiply(acc, multiplier, adjust);
    } else if (out.rounding == RATTI_DOUBLE) {
        x = ratti_divide_by_power(ratti_high_multiply(acc, multiplier), adjust) + out.zero;
    } else {
        x = ratti_rescale_general(acc, multiplier, adjust) + out.zero;
    }
    return ratti_clamp(x, out.low, out.high);
}

RATTI_INLINE int8_t ratti_output_code(int32_t acc, int32_t multiplier, int32_t adjust, ratti_output out)
{
    return (int8_t)ratti_output_value(acc, multiplier, adjust, out);
}
