#include "geometry.h"

/* Depthwise convolution, one channel at a time on a padded copy of its plane: weights stay in registers, no output
   meets a border, and `out` may lie exactly over `in` where every row is computed in one call.

   weights: [in_c][kernel_h][kernel_w]; dilation and multiplier are 1.
   plane: scratch for (rows, columns) bytes that all windows cover. */
RATTI_INLINE int32_t ratti_plane_width(ratti_depthwise s)
{
    return (s.out_w - 1) * s.stride_w + s.kernel_w;
}

/* The plane of one channel inside the border; `top` is the input row of the plane's first row. */
RATTI_INLINE void ratti_plane_gather(const int8_t *in, int8_t *plane, int32_t top, int32_t rows,
                                     const ratti_depthwise s)
{
    const int32_t width = ratti_plane_width(s), covered = width - s.pad_left;
    const int32_t columns = covered < s.in_w ? covered : s.in_w;
    int32_t y, x;
    for (y = 0; y < rows; ++y) {
        if (top + y >= 0 && top + y < s.in_h) {
            const int8_t *source = in + (top + y) * s.in_w * s.in_c;
            int8_t *row = plane + y * width + s.pad_left;
            for (x = 0; x < columns; ++x) {
                row[x] = source[x * s.in_c];
            }
        }
    }
}

RATTI_INLINE int32_t ratti_plane_window(const int8_t *window, const int32_t *weights, int32_t acc,
                                        const ratti_depthwise s)
{
    const int32_t width = ratti_plane_width(s);
    int32_t ky, kx;
    RATTI_UNROLL
    for (ky = 0; ky < s.kernel_h; ++ky) {
        RATTI_UNROLL
        for (kx = 0; kx < s.kernel_w; ++kx) {
            acc += ratti_multiply(weights[ky * s.kernel_w + kx], window[ky * width + kx]);
        }
    }
    return acc;
}

RATTI_INLINE void ratti_depthwise_plane(const int8_t *in, int8_t *out, const int8_t *weights,
                                        const ratti_channel *channels, int8_t *plane, int32_t row_begin,
                                        int32_t row_end, const ratti_depthwise s)
{
    const int32_t width = ratti_plane_width(s), taps = s.kernel_h * s.kernel_w;
    const int32_t rows = (row_end - row_begin - 1) * s.stride_h + s.kernel_h;
    const int32_t top = row_begin * s.stride_h - s.pad_top;
    int32_t c, k, oy, ox;
    ratti_fill(plane, (uint8_t)s.in_zero, (size_t)(rows * width));
    for (c = 0; c < s.in_c; ++c) {
        const ratti_channel channel = channels[c];
        int8_t *pixel = out + row_begin * s.out_w * s.in_c + c;
        int32_t w[25];
        RATTI_UNROLL
        for (k = 0; k < taps; ++k) {
            w[k] = weights[k];
        }
        weights += taps;
        ratti_plane_gather(in + c, plane, top, rows, s);
        for (oy = 0; oy < row_end - row_begin; ++oy) {
            const int8_t *window = plane + oy * s.stride_h * width;
            for (ox = 0; ox < s.out_w; ++ox) {
                const int32_t acc = ratti_plane_window(window, w, channel.bias, s);
                *pixel = ratti_output_code(acc, channel.multiplier, channel.adjust, s.out);
                pixel += s.in_c;
                window += s.stride_w;
            }
        }
    }
}
