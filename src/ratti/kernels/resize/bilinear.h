#include "../support/core.h"

/* Linear interpolation in both directions. Rows and columns of the output: first and second input position, and the
   weight of the second in 1/1024; ties of the mean go away from zero. `out` must not overlap `in`. */
typedef struct {
    int32_t first, second, weight;
} ratti_between;

RATTI_INLINE void ratti_resize_bilinear(const int8_t *in, int8_t *out, const ratti_between *ys, const ratti_between *xs,
                                        int32_t row_begin, int32_t row_end, const int32_t in_w, const int32_t out_w,
                                        const int32_t channels)
{
    int32_t y, x, c;
    for (y = row_begin; y < row_end; ++y) {
        for (x = 0; x < out_w; ++x) {
            const int32_t dy = ys[y].weight, dx = xs[x].weight;
            const int8_t *upper = in + ys[y].first * in_w * channels, *lower = in + ys[y].second * in_w * channels;
            const int32_t left = xs[x].first * channels, right = xs[x].second * channels;
            for (c = 0; c < channels; ++c) {
                const int32_t above = upper[left + c] * (1024 - dx) + upper[right + c] * dx;
                const int32_t below = lower[left + c] * (1024 - dx) + lower[right + c] * dx;
                const int32_t total = above * (1024 - dy) + below * dy;
                const int32_t half = total > 0 ? 1 << 19 : -(1 << 19);
                out[(y * out_w + x) * channels + c] = (int8_t)((total + half) / (1 << 20));
            }
        }
    }
}
