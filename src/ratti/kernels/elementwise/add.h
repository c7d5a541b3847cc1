#include "../support/core.h"

/* Sum of two tensors of one shape, each with its own scale. `out` may be either operand. */
typedef struct {
    int32_t row_elements;
    int32_t in_zero, in_multiplier, in_shift;
    int32_t other_zero, other_multiplier, other_shift;
    int32_t out_multiplier, out_shift;
    ratti_output out;
} ratti_add_sizes;

RATTI_INLINE int32_t ratti_add_rescale(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t high = ratti_high_multiply(x, multiplier);
    return shift > 0 ? ratti_divide_by_power(high, shift) : high;
}

RATTI_INLINE void ratti_add(const int8_t *in, const int8_t *other, int8_t *out, int32_t row_begin, int32_t row_end,
                            const ratti_add_sizes s)
{
    int32_t i;
    for (i = row_begin * s.row_elements; i < row_end * s.row_elements; ++i) {
        /* 20 bits of headroom before scaling; 2^28 bounds each operand, 2^29 the sum. */
        const int32_t a = ratti_add_rescale((in[i] - s.in_zero) * (1 << 20), s.in_multiplier, s.in_shift);
        const int32_t b = ratti_add_rescale((other[i] - s.other_zero) * (1 << 20), s.other_multiplier, s.other_shift);
        out[i] = ratti_output_code(a + b, s.out_multiplier, s.out_shift, s.out);
    }
}
