#include "../support/core.h"

/* Sum of two tensors of one shape as one linear form: (a * in_factor + b * other_factor + bias) >> shift. The constants
   were searched for, and proven to give TFLite's code for all 65,536 pairs of codes. `out` may be either operand. */
typedef struct {
    int32_t row_elements, in_factor, other_factor, bias, shift, low, high;
} ratti_add_linear_sizes;

RATTI_INLINE void ratti_add_linear(const int8_t *in, const int8_t *other, int8_t *out, int32_t row_begin,
                                   int32_t row_end, const ratti_add_linear_sizes s)
{
    const int32_t begin = row_begin * s.row_elements, count = (row_end - row_begin) * s.row_elements;
    int32_t i;
    in += begin;
    other += begin;
    out += begin;
    RATTI_UNROLL_4
    for (i = 0; i < count; ++i) {
        const int32_t sum = s.bias + in[i] * s.in_factor + other[i] * s.other_factor;
        out[i] = (int8_t)ratti_shift_clamp(sum, s.shift, s.low, s.high);
    }
}
