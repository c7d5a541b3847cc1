#include "../support/core.h"

/* Any op of two tensors, element by element, each with steps of its own: 0 where it is repeated. Which op it is, is a
   constant, so that a compiler keeps one of them. `out` may be an operand that is not repeated. */
enum {
    RATTI_ADD,
    RATTI_SUBTRACT,
    RATTI_SQUARED_DIFFERENCE,
    RATTI_MULTIPLY,
    RATTI_MAXIMUM,
    RATTI_MINIMUM,
    RATTI_PRELU
};

typedef struct {
    int32_t op, left_shift; /* sums: headroom before scaling */
    int32_t in_zero, in_multiplier, in_shift;
    int32_t other_zero, other_multiplier, other_shift;
    int32_t multiplier, shift;
    ratti_output out;
    int32_t first, second; /* which input is the first operand, which the second */
    int32_t n0, n1, n2;    /* elements of a row */
    int32_t in_row, in0, in1, in2;
    int32_t other_row, other0, other1, other2;
} ratti_binary_sizes;

RATTI_INLINE int32_t ratti_binary_sum(int32_t a, int32_t b, const ratti_binary_sizes s)
{
    const int32_t x = ratti_rescale_general(a * (1 << s.left_shift), s.in_multiplier, s.in_shift);
    const int32_t y = ratti_rescale_general(b * (1 << s.left_shift), s.other_multiplier, s.other_shift);
    return s.op == RATTI_ADD ? x + y : x - y;
}

/* The result in any element type. */
RATTI_INLINE int32_t ratti_binary_code(int32_t in, int32_t other, const ratti_binary_sizes s)
{
    const int32_t a = in - s.in_zero, b = other - s.other_zero;
    int32_t x;
    if (s.op == RATTI_MAXIMUM) {
        return in > other ? in : other;
    }
    if (s.op == RATTI_MINIMUM) {
        return in < other ? in : other;
    }
    if (s.op == RATTI_PRELU) {
        x = a >= 0 ? ratti_rescale_general(a, s.in_multiplier, s.in_shift)
                   : ratti_rescale_general(a * b, s.multiplier, s.shift);
        return ratti_clamp(x + s.out.zero, s.out.low, s.out.high);
    }
    x = s.op == RATTI_MULTIPLY ? a * b : ratti_binary_sum(a, b, s);
    if (s.op == RATTI_SQUARED_DIFFERENCE) {
        x *= x;
    }
    return ratti_output_value(x, s.multiplier, s.shift, s.out);
}

RATTI_INLINE void ratti_binary(const int8_t *const *inputs, int8_t *out, int32_t row_begin, int32_t row_end,
                               const ratti_binary_sizes s)
{
    int32_t row, i, j, k;
    out += row_begin * s.n0 * s.n1 * s.n2;
    for (row = row_begin; row < row_end; ++row) {
        for (i = 0; i < s.n0; ++i) {
            for (j = 0; j < s.n1; ++j) {
                const int8_t *a = inputs[s.first] + row * s.in_row + i * s.in0 + j * s.in1;
                const int8_t *b = inputs[s.second] + row * s.other_row + i * s.other0 + j * s.other1;
                for (k = 0; k < s.n2; ++k) {
                    *out++ = (int8_t)ratti_binary_code(*a, *b, s);
                    a += s.in2;
                    b += s.other2;
                }
            }
        }
    }
}
