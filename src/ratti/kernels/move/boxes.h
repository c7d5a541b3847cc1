#include "../support/core.h"

/* A part of an output whose elements lie at regular steps in an input: rows row_first + k * row_step for k < rows of
   the output; in each, four nested counts. Steps and offsets in elements of one byte. */
typedef struct {
    int32_t operand, in_offset, in_row, row_first, row_step, rows, out_offset;
    int32_t count0, in0, out0, count1, in1, out1, count2, in2, out2, count3, in3, out3;
} ratti_move_box;

RATTI_INLINE void ratti_move_row(const int8_t *in, int8_t *out, const ratti_move_box *b)
{
    int32_t i, j, k, l;
    RATTI_ROLLED
    for (i = 0; i < b->count0; ++i) {
        RATTI_ROLLED
        for (j = 0; j < b->count1; ++j) {
            RATTI_ROLLED
            for (k = 0; k < b->count2; ++k) {
                const int8_t *source = in + i * b->in0 + j * b->in1 + k * b->in2;
                int8_t *target = out + i * b->out0 + j * b->out1 + k * b->out2;
                if (b->in3 == 1 && b->out3 == 1) {
                    ratti_move(target, source, (size_t)b->count3);
                } else {
                    RATTI_UNROLL_4
                    for (l = 0; l < b->count3; ++l) {
                        target[l * b->out3] = source[l * b->in3];
                    }
                }
            }
        }
    }
}

/* Copies `count` boxes from the inputs; what no box covers takes `fill`. */
RATTI_INLINE void ratti_move_boxes(const int8_t *const *inputs, int8_t *out, const ratti_move_box *boxes,
                                   int32_t row_begin, int32_t row_end, const int32_t count, const int32_t row_bytes,
                                   const int32_t filled, const int32_t fill)
{
    int32_t n, k;
    if (filled) {
        ratti_fill(out + row_begin * row_bytes, (uint8_t)fill, (size_t)((row_end - row_begin) * row_bytes));
    }
    for (n = 0; n < count; ++n) {
        const ratti_move_box *b = boxes + n;
        RATTI_ROLLED
        for (k = 0; k < b->rows; ++k) {
            const int32_t row = b->row_first + k * b->row_step;
            if (row >= row_begin && row < row_end) {
                const int8_t *source = inputs[b->operand] + b->in_offset + k * b->in_row;
                ratti_move_row(source, out + row * row_bytes + b->out_offset, b);
            }
        }
    }
}
