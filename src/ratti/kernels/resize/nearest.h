#include "../support/core.h"

/* Resize by the nearest element: ys and xs hold the input row and column of each output row and column. `out` must not
   overlap `in`. */
RATTI_INLINE void ratti_resize_nearest(const int8_t *in, int8_t *out, const int16_t *ys, const int16_t *xs,
                                       int32_t row_begin, int32_t row_end, const int32_t in_w, const int32_t out_w,
                                       const int32_t pixel_bytes)
{
    int32_t y, x;
    for (y = row_begin; y < row_end; ++y) {
        for (x = 0; x < out_w; ++x) {
            ratti_copy(out + (y * out_w + x) * pixel_bytes, in + (ys[y] * in_w + xs[x]) * pixel_bytes,
                       (size_t)pixel_bytes);
        }
    }
}
