#include "binary.h"

/* Any op of two int16 tensors, element by element, as binary.h does it. `out` may be an operand that is not
   repeated. */
RATTI_INLINE void ratti_wide_binary(const int8_t *const *inputs, int8_t *bytes_out, int32_t row_begin, int32_t row_end,
                                    const ratti_binary_sizes s)
{
    const int16_t *first = (const int16_t *)(const void *)inputs[s.first];
    const int16_t *second = (const int16_t *)(const void *)inputs[s.second];
    int16_t *out = (int16_t *)(void *)bytes_out + row_begin * s.n0 * s.n1 * s.n2;
    int32_t row, i, j, k;
    for (row = row_begin; row < row_end; ++row) {
        for (i = 0; i < s.n0; ++i) {
            for (j = 0; j < s.n1; ++j) {
                const int16_t *a = first + row * s.in_row + i * s.in0 + j * s.in1;
                const int16_t *b = second + row * s.other_row + i * s.other0 + j * s.other1;
                for (k = 0; k < s.n2; ++k) {
                    *out++ = (int16_t)ratti_binary_code(*a, *b, s);
                    a += s.in2;
                    b += s.other2;
                }
            }
        }
    }
}
