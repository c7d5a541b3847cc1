#include "../support/core.h"

/* Products of matrices, each with steps of its own: 0 where one is repeated, swapped where one is transposed. `out`
   must not overlap an input. */
typedef struct {
    int32_t batches, m, n, k; /* of a row of the output */
    int32_t in_row, in_batch, in_m, in_k, in_zero;
    int32_t other_row, other_batch, other_n, other_k, other_zero;
    int32_t first, second; /* which input is the first operand, which the second */
    int32_t multiplier, shift;
    ratti_output out;
} ratti_matmul_sizes;

RATTI_INLINE void ratti_matmul(const int8_t *const *inputs, int8_t *out, int32_t row_begin, int32_t row_end,
                               const ratti_matmul_sizes s)
{
    int32_t row, b, m, n, k;
    out += row_begin * s.batches * s.m * s.n;
    for (row = row_begin; row < row_end; ++row) {
        for (b = 0; b < s.batches; ++b) {
            for (m = 0; m < s.m; ++m) {
                for (n = 0; n < s.n; ++n) {
                    const int8_t *x = inputs[s.first] + row * s.in_row + b * s.in_batch + m * s.in_m;
                    const int8_t *y = inputs[s.second] + row * s.other_row + b * s.other_batch + n * s.other_n;
                    int32_t acc = 0;
                    for (k = 0; k < s.k; ++k) {
                        acc += (*x - s.in_zero) * (*y - s.other_zero);
                        x += s.in_k;
                        y += s.other_k;
                    }
                    *out++ = ratti_output_code(acc, s.multiplier, s.shift, s.out);
                }
            }
        }
    }
}
