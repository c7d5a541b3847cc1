#include "../support/multiply.h"
#include "geometry.h"

/* Convolution whose weights are mostly zeros: only the others are stored and multiplied, each for `pixels` output
   pixels at a time.

   counts: by output channel, its entries in `weights`. An entry is three bytes: two steps of four bits, the lower
   first, then two weights. A step leads from the element that the last weight was for (the window's first, in the
   beginning) to that of the next. Where a step would be longer than 15, a weight of 0 stands in between, and at the end
   of an odd number, with a step of 0.
   columns: scratch for `pixels` windows of `depth` bytes; unused where the convolution is pointwise.
   `out` may overlap `in` as `overlap` of the kernel says. */
RATTI_INLINE void ratti_sparse_add(int32_t *acc, const int32_t weight, const int8_t *window, const int32_t depth,
                                   const int32_t pixels)
{
    int32_t p;
    RATTI_UNROLL
    for (p = 0; p < pixels; ++p) {
        acc[p] = ratti_multiply_add(acc[p], weight, window[p * depth]);
    }
}

/* All output channels of `pixels` pixels whose windows lie `depth` bytes apart. */
RATTI_INLINE void ratti_sparse_pixels(const int8_t *window, int8_t *out, const uint8_t *weights, const uint16_t *counts,
                                      const ratti_channel *channels, const ratti_conv s, const int32_t pixels)
{
    const int32_t depth = ratti_conv_depth(s);
    int32_t o, p;
    for (o = 0; o < s.out_c; ++o) {
        const int8_t *at = window;
        int32_t acc[4], entries;
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            acc[p] = channels[o].bias;
        }
        RATTI_ROLLED
        for (entries = counts[o]; entries > 0; --entries) {
            const int32_t steps = weights[0], first = (int8_t)weights[1], second = (int8_t)weights[2];
            at += steps & 15;
            ratti_sparse_add(acc, first, at, depth, pixels);
            at += steps >> 4;
            ratti_sparse_add(acc, second, at, depth, pixels);
            weights += 3;
        }
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            out[p * s.out_c + o] = ratti_output_code(acc[p], channels[o].multiplier, channels[o].adjust, s.out);
        }
    }
}

RATTI_INLINE void ratti_conv_sparse(const int8_t *in, int8_t *out, const uint8_t *weights, const uint16_t *counts,
                                    const ratti_channel *channels, int8_t *columns, int32_t row_begin,
                                    int32_t row_end, const ratti_conv s, const int32_t pixels)
{
    const int32_t depth = ratti_conv_depth(s), end = row_end * s.out_w;
    int32_t pixel = row_begin * s.out_w, p;
    while (pixel < end) {
        const int32_t count = end - pixel < pixels ? 1 : pixels;
        const int8_t *window = in + pixel * s.in_c;
        if (!ratti_conv_is_pointwise(s)) {
            for (p = 0; p < count; ++p) {
                const int32_t y = (pixel + p) / s.out_w, x = (pixel + p) % s.out_w;
                ratti_conv_window(in, columns + p * depth, y * s.stride_h - s.pad_top, x * s.stride_w - s.pad_left, s);
            }
            window = columns;
        }
        if (count == pixels) {
            ratti_sparse_pixels(window, out + pixel * s.out_c, weights, counts, channels, s, pixels);
        } else {
            ratti_sparse_pixels(window, out + pixel * s.out_c, weights, counts, channels, s, 1);
        }
        pixel += count;
    }
}
