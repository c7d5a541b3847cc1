#include "../support/core.h"

/* Sizes of a convolution over (in_h, in_w, in_c); a fully connected layer is a 1x1 convolution over one column.
   Output channels follow each other group by group, or (`interleaved`) with all groups in turn. */
typedef struct {
    int32_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t groups, interleaved;
    int32_t in_zero;
    ratti_output out;
} ratti_conv;

/* Elements of one window of one group. */
RATTI_INLINE int32_t ratti_conv_depth(ratti_conv s)
{
    return s.kernel_h * s.kernel_w * (s.in_c / s.groups);
}

/* Where output channel o of a pixel begins to read. */
RATTI_INLINE int32_t ratti_conv_first(ratti_conv s, int32_t o)
{
    return (s.interleaved ? o % s.groups : o / (s.out_c / s.groups)) * (s.in_c / s.groups);
}

/* From one output channel of a group to the next. */
RATTI_INLINE int32_t ratti_conv_step(ratti_conv s)
{
    return s.interleaved ? s.groups : 1;
}

/* The place of group g's first output channel in its pixel. */
RATTI_INLINE int32_t ratti_conv_place(ratti_conv s, int32_t g)
{
    return s.interleaved ? g : g * (s.out_c / s.groups);
}

/* True where output pixel p reads exactly the channels of input pixel p. */
RATTI_INLINE int32_t ratti_conv_is_pointwise(ratti_conv s)
{
    return s.kernel_h == 1 && s.kernel_w == 1 && s.stride_h == 1 && s.stride_w == 1 && s.in_h == s.out_h &&
           s.in_w == s.out_w;
}

/* Copies the window, `in` at the first channel of its group, of the output pixel whose window starts at (top, left);
   positions outside the input take the zero point. */
RATTI_INLINE void ratti_conv_window(const int8_t *in, int8_t *window, int32_t top, int32_t left, const ratti_conv s)
{
    const int32_t channels = s.in_c / s.groups;
    const size_t tap = (size_t)channels, run = tap * (size_t)s.kernel_w;
    int32_t ky, kx;
    if (s.groups == 1 && s.dilation_h == 1 && s.dilation_w == 1 && top >= 0 && left >= 0 &&
        top + s.kernel_h <= s.in_h && left + s.kernel_w <= s.in_w) {
        const int8_t *source = in + (top * s.in_w + left) * s.in_c;
        RATTI_UNROLL
        for (ky = 0; ky < s.kernel_h; ++ky) {
            ratti_copy(window + ky * s.kernel_w * s.in_c, source + ky * s.in_w * s.in_c, run);
        }
        return;
    }
    RATTI_ROLLED
    for (ky = 0; ky < s.kernel_h; ++ky) {
        const int32_t y = top + ky * s.dilation_h;
        if (y < 0 || y >= s.in_h) {
            ratti_fill(window, (uint8_t)s.in_zero, run);
        } else if (s.groups == 1 && s.dilation_w == 1 && left >= 0 && left + s.kernel_w <= s.in_w) {
            ratti_copy(window, in + (y * s.in_w + left) * s.in_c, run);
        } else {
            for (kx = 0; kx < s.kernel_w; ++kx) {
                const int32_t x = left + kx * s.dilation_w;
                if (x >= 0 && x < s.in_w) {
                    ratti_copy(window + kx * channels, in + (y * s.in_w + x) * s.in_c, tap);
                } else {
                    ratti_fill(window + kx * channels, (uint8_t)s.in_zero, tap);
                }
            }
        }
        window += run;
    }
}
