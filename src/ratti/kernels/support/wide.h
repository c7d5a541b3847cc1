#include "core.h"

/* Constants of one output channel of int16 activations: the bias has 64 bits, the multiplier 16. */
typedef struct {
    int64_t bias;
    int32_t multiplier, shift;
} ratti_wide_channel;

/* round(acc * multiplier / 2^shift), ties upward, limited. */
RATTI_INLINE int16_t ratti_wide_code(int64_t acc, int32_t multiplier, int32_t shift, int32_t low, int32_t high)
{
    const int64_t x = (acc * multiplier + ((int64_t)1 << (shift - 1))) >> shift;
    return (int16_t)(x < low ? low : x > high ? high : x);
}
