#include "dsp.h"

/* Convolution in groups with the dual 16-bit multiply: each group as dsp.h does it, on windows of its own.

   weights: for each group, as dsp.h takes them: depth and channels padded to multiples of four.
   channels: group by group, each padded to a multiple of four.
   scratch: for each group the windows of two pixels as int16; behind them two windows as bytes; behind those, where
   channels do not lie side by side or are no multiple of four, one group's codes of two pixels.

   Pixels are computed in order, two at a time: the windows of both are read before both are stored. `out` may
   overlap `in` as `overlap` of the kernel says. */

/* The windows of all groups of the output pixels a and b. */
RATTI_INLINE void ratti_dsp_group_columns(const int8_t *in, int16_t *columns, int8_t *bytes, ratti_dsp_place a,
                                          ratti_dsp_place b, const ratti_conv s)
{
    const int32_t depth = ratti_dsp_depth(s), group_in = s.in_c / s.groups;
    int32_t g;
    RATTI_ROLLED
    for (g = 0; g < s.groups; ++g) {
        if (ratti_conv_is_pointwise(s) && group_in % 4 == 0) {
            const int8_t *first = in + (a.y * s.in_w + a.x) * s.in_c, *second = in + (b.y * s.in_w + b.x) * s.in_c;
            ratti_dsp_expand(first, second, columns, depth);
        } else {
            ratti_conv_window(in, bytes, a.y * s.stride_h - s.pad_top, a.x * s.stride_w - s.pad_left, s);
            ratti_conv_window(in, bytes + depth, b.y * s.stride_h - s.pad_top, b.x * s.stride_w - s.pad_left, s);
            ratti_dsp_expand(bytes, bytes + depth, columns, depth);
        }
        in += group_in;
        columns += 2 * depth;
    }
}

/* `count` codes of each pixel for one group, a multiple of four; `next` lies between the two pixels. */
RATTI_INLINE void ratti_dsp_group_codes(const int16_t *columns, int8_t *out, const uint32_t *weights,
                                        const ratti_channel *channels, const ratti_conv s, int32_t pixels,
                                        int32_t next, int32_t count)
{
    int32_t p;
#if RATTI_DSP_ASSEMBLY
    if (s.out.rounding != RATTI_GENERAL) {
        ratti_dsp_job job = ratti_dsp_begin(columns, channels, s);
        job.out = out;
        job.next = pixels == 2 ? next : 0;
        job.count = count;
        ratti_dsp_quads(&job, weights);
        return;
    }
#endif
    RATTI_ROLLED
    for (p = 0; p < pixels; ++p) {
        ratti_conv one = s;
        one.out_c = count;
        ratti_dsp_outputs_general(columns + 2 * p, out + p * next, weights, channels, one, 1);
    }
}

RATTI_INLINE void ratti_conv_dsp_groups(const int8_t *in, int8_t *out, const uint32_t *weights,
                                        const ratti_channel *channels, int8_t *scratch, int32_t row_begin,
                                        int32_t row_end, const ratti_conv s)
{
    const int32_t depth = ratti_dsp_depth(s), count = (row_end - row_begin) * s.out_w;
    const int32_t group_out = s.out_c / s.groups, padded = (group_out + 3) & ~3, step = ratti_conv_step(s);
    const int32_t is_whole = step == 1 && padded == group_out;
    int16_t *columns = (int16_t *)(void *)scratch;
    int8_t *bytes = scratch + 4 * s.groups * depth, *codes = bytes + 2 * depth;
    ratti_dsp_place a = {row_begin, 0};
    int32_t pixel, g, p, k;
    out += row_begin * s.out_w * s.out_c;
    for (pixel = 0; pixel < count; pixel += 2) {
        const int32_t pixels = count - pixel < 2 ? 1 : 2;
        const ratti_dsp_place next = {a.x + 1 < s.out_w ? a.y : a.y + 1, a.x + 1 < s.out_w ? a.x + 1 : 0};
        ratti_dsp_group_columns(in, columns, bytes, a, pixels == 2 ? next : a, s);
        a.y = next.x + 1 < s.out_w ? next.y : next.y + 1;
        a.x = next.x + 1 < s.out_w ? next.x + 1 : 0;
        RATTI_ROLLED
        for (g = 0; g < s.groups; ++g) {
            int8_t *target = out + ratti_conv_place(s, g);
            ratti_dsp_group_codes(columns + 2 * g * depth, is_whole ? target : codes,
                                  weights + g * (padded / 2) * (depth / 2), channels + g * padded, s, pixels,
                                  is_whole ? s.out_c : padded, padded);
            if (!is_whole) {
                for (p = 0; p < pixels; ++p) {
                    for (k = 0; k < group_out; ++k) {
                        target[p * s.out_c + k * step] = codes[p * padded + k];
                    }
                }
            }
        }
        if (s.out.low > -128 || s.out.high < 127) {
            for (k = 0; k < pixels * s.out_c; ++k) {
                out[k] = (int8_t)ratti_clamp(out[k], s.out.low, s.out.high);
            }
        }
        out += 2 * s.out_c;
    }
}
