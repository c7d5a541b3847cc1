#include "../support/core.h"

/* Largest element or rescaled sum over any dimensions: n counts those that stay, r those that are reduced, each with
   its step in the input. `out` must not overlap `in`. */
typedef struct {
    int32_t largest; /* 1: the largest element; 0: the sum of the elements less the zero point, rescaled */
    int32_t in_row, n0, n1, n2, in0, in1, in2, r0, r1, step0, step1;
    int32_t in_zero, multiplier, shift;
    ratti_output out;
} ratti_reduce_sizes;

RATTI_INLINE int8_t ratti_reduce_one(const int8_t *in, const ratti_reduce_sizes s)
{
    int32_t largest = *in, sum = 0, i, j;
    for (i = 0; i < s.r0; ++i) {
        for (j = 0; j < s.r1; ++j) {
            const int32_t x = in[i * s.step0 + j * s.step1];
            largest = x > largest ? x : largest;
            sum += x - s.in_zero;
        }
    }
    return s.largest ? (int8_t)largest : ratti_output_code(sum, s.multiplier, s.shift, s.out);
}

RATTI_INLINE void ratti_reduce(const int8_t *in, int8_t *out, int32_t row_begin, int32_t row_end,
                               const ratti_reduce_sizes s)
{
    int32_t row, i, j, k;
    out += row_begin * s.n0 * s.n1 * s.n2;
    for (row = row_begin; row < row_end; ++row) {
        for (i = 0; i < s.n0; ++i) {
            for (j = 0; j < s.n1; ++j) {
                for (k = 0; k < s.n2; ++k) {
                    *out++ = ratti_reduce_one(in + row * s.in_row + i * s.in0 + j * s.in1 + k * s.in2, s);
                }
            }
        }
    }
}
