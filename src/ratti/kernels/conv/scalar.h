#include "../support/multiply.h"
#include "geometry.h"

/* Convolution for cores without vector instructions: tiles of `tile_o` output channels by `tile_p` pixels, so that
   each loaded weight and each loaded input serve several products.

   weights: for each group, tiles of [depth][tile_o], then the remaining channels one by one as [depth].
   channels: group by group.
   columns: scratch for [groups][tile_p] windows of `depth` bytes; unused where the convolution is pointwise and has one
   group.
   `out` may overlap `in` as `overlap` of the kernel says. */
typedef struct {
    int32_t o, p;
} ratti_tile;

/* `tile.o` channels of `tile.p` pixels whose windows lie `depth` bytes apart. */
RATTI_INLINE void ratti_conv_tile(const int8_t *window, int8_t *out, const int8_t *weights,
                                  const ratti_channel *channels, const ratti_conv s, const ratti_tile tile)
{
    const int32_t depth = ratti_conv_depth(s);
    int32_t acc[4][4];
    int32_t i, o, p;
    RATTI_UNROLL
    for (o = 0; o < tile.o; ++o) {
        RATTI_UNROLL
        for (p = 0; p < tile.p; ++p) {
            acc[o][p] = channels[o].bias;
        }
    }
    for (i = 0; i < depth; ++i) {
        int32_t x[4];
        RATTI_UNROLL
        for (p = 0; p < tile.p; ++p) {
            x[p] = window[p * depth + i];
        }
        RATTI_UNROLL
        for (o = 0; o < tile.o; ++o) {
            const int32_t w = weights[o];
            RATTI_UNROLL
            for (p = 0; p < tile.p; ++p) {
                acc[o][p] = ratti_multiply_add(acc[o][p], w, x[p]);
            }
        }
        weights += tile.o;
    }
    RATTI_UNROLL
    for (o = 0; o < tile.o; ++o) {
        RATTI_UNROLL
        for (p = 0; p < tile.p; ++p) {
            out[p * s.out_c + o * ratti_conv_step(s)] =
                ratti_output_code(acc[o][p], channels[o].multiplier, channels[o].adjust, s.out);
        }
    }
}

/* All output channels of one group of `tile.p` pixels. */
RATTI_INLINE void ratti_conv_pixels(const int8_t *window, int8_t *out, const int8_t *weights,
                                    const ratti_channel *channels, const ratti_conv s, const ratti_tile tile)
{
    const int32_t depth = ratti_conv_depth(s), count = s.out_c / s.groups, tiled = count / tile.o * tile.o;
    const ratti_tile single = {1, tile.p};
    int32_t o;
    for (o = 0; o < tiled; o += tile.o) {
        ratti_conv_tile(window, out + o * ratti_conv_step(s), weights + o * depth, channels + o, s, tile);
    }
    for (; o < count; ++o) {
        ratti_conv_tile(window, out + o * ratti_conv_step(s), weights + o * depth, channels + o, s, single);
    }
}

RATTI_INLINE void ratti_conv_scalar(const int8_t *in, int8_t *out, const int8_t *weights,
                                    const ratti_channel *channels, int8_t *columns, int32_t row_begin,
                                    int32_t row_end, const ratti_conv s, const ratti_tile tile)
{
    const int32_t depth = ratti_conv_depth(s), end = row_end * s.out_w, group_out = s.out_c / s.groups;
    const ratti_tile single = {tile.o, 1};
    int32_t pixel = row_begin * s.out_w, p, g;
    while (pixel < end) {
        const int32_t count = end - pixel < tile.p ? 1 : tile.p;
        const int8_t *window = in + pixel * s.in_c;
        if (s.groups > 1 || !ratti_conv_is_pointwise(s)) {
            for (g = 0; g < s.groups; ++g) {
                for (p = 0; p < count; ++p) {
                    const int32_t y = (pixel + p) / s.out_w, x = (pixel + p) % s.out_w;
                    ratti_conv_window(in + g * (s.in_c / s.groups), columns + (g * tile.p + p) * depth,
                                      y * s.stride_h - s.pad_top, x * s.stride_w - s.pad_left, s);
                }
            }
            window = columns;
        }
        for (g = 0; g < s.groups; ++g) {
            const int8_t *windows = window + g * tile.p * depth, *w = weights + g * group_out * depth;
            int8_t *pixels = out + pixel * s.out_c + ratti_conv_place(s, g);
            if (count == tile.p) {
                ratti_conv_pixels(windows, pixels, w, channels + g * group_out, s, tile);
            } else {
                ratti_conv_pixels(windows, pixels, w, channels + g * group_out, s, single);
            }
        }
        pixel += count;
    }
}
