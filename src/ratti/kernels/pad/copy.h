#include "../support/core.h"

/* Padding of a (in_h, in_w, in_c) map with `fill`, row by row. */
typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c, top, left, front;
    int32_t fill;
} ratti_pad_sizes;

RATTI_INLINE void ratti_pad(const int8_t *in, int8_t *out, int32_t row_begin, int32_t row_end, const ratti_pad_sizes s)
{
    const int32_t row_bytes = s.out_w * s.out_c;
    int32_t y, x;
    for (y = row_begin; y < row_end; ++y) {
        const int32_t source = y - s.top;
        ratti_fill(out + y * row_bytes, (uint8_t)s.fill, (size_t)row_bytes);
        if (source >= 0 && source < s.in_h) {
            for (x = 0; x < s.in_w; ++x) {
                ratti_copy(out + (y * s.out_w + x + s.left) * s.out_c + s.front, in + (source * s.in_w + x) * s.in_c,
                       (size_t)s.in_c);
            }
        }
    }
}
