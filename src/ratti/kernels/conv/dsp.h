#include "../support/dsp.h"
#include "geometry.h"

/* Convolution with the dual 16-bit multiply of Armv7E-M and Armv8-M: four output channels by two pixels, the weights of
   two channels in each halfword.

   A halfword holds 256 * w1 + w0. Multiplying it as it is accumulates 256 * S1 + S0; multiplying its sign-extended
   low byte accumulates S0. So one sign extension serves four weights that take four bytes of flash. Exact while
   |S1 + bias1| < 2^23, which the packer proves.

   weights: tiles of [depth / 2][2] words for four channels; depth and channels are padded with zeros to multiples of
   four.
   channels: padded to a multiple of four; the second bias of a pair is 256 * bias1 + bias0. Where rounding is double,
   `adjust` is one less than the shift, and no more than 21.
   scratch: the windows of two pixels as int16, `depth` each; words of the two pixels alternate. Elements of each four
   lie in the order 0 2 1 3, as two sign extensions leave them. Behind them, where in_c is a multiple of four, in_c
   bytes of the zero point (not where the convolution is pointwise); elsewhere two windows as bytes.

   Pixels are computed in order, two at a time: the windows of both are read before both are stored. `out` may
   overlap `in` as `overlap` of the kernel says. */
RATTI_INLINE int32_t ratti_dsp_depth(ratti_conv s)
{
    return (ratti_conv_depth(s) + 3) & ~3;
}

#if defined(__ARM_FEATURE_DSP) && __ARM_ARCH_PROFILE == 'M'
#define RATTI_DSP_ASSEMBLY 1
#define RATTI_NAKED static __attribute__((naked, noinline))
#define RATTI_ARGUMENT __attribute__((unused))

/* `count` codes of two pixels to int16, the words of the two alternating; `count` is a multiple of four. */
RATTI_NAKED void ratti_dsp_expand(RATTI_ARGUMENT const int8_t *first, RATTI_ARGUMENT const int8_t *second,
                                  RATTI_ARGUMENT int16_t *columns, RATTI_ARGUMENT int32_t count)
{
    __asm__ volatile(
        "push {r4, r5, r6, r7, lr}\n add r3, r0, r3\n sub lr, r3, r0\n tst lr, #4\n beq 1f\n"
        "ldr r4, [r0], #4\n ldr r5, [r1], #4\n"
        "sxtb16 r6, r4\n sxtb16 r7, r5\n str r6, [r2]\n str r7, [r2, #4]\n"
        "sxtb16 r6, r4, ror #8\n sxtb16 r7, r5, ror #8\n str r6, [r2, #8]\n str r7, [r2, #12]\n"
        "adds r2, #16\n"
        "1:\n cmp r0, r3\n beq 3f\n subs r0, #4\n subs r1, #4\n subs r2, #4\n subs r3, #4\n"
        "2:\n ldr r4, [r0, #4]\n ldr r5, [r1, #4]\n ldr r6, [r0, #8]!\n ldr r7, [r1, #8]!\n"
        "sxtb16 r12, r4\n sxtb16 lr, r5\n str r12, [r2, #4]\n str lr, [r2, #8]\n"
        "sxtb16 r12, r4, ror #8\n sxtb16 lr, r5, ror #8\n str r12, [r2, #12]\n str lr, [r2, #16]\n"
        "sxtb16 r12, r6\n sxtb16 lr, r7\n str r12, [r2, #20]\n str lr, [r2, #24]\n"
        "sxtb16 r12, r6, ror #8\n sxtb16 lr, r7, ror #8\n str r12, [r2, #28]\n str lr, [r2, #32]!\n"
        "cmp r0, r3\n bne 2b\n"
        "3:\n pop {r4, r5, r6, r7, pc}\n");
}
#else
#define RATTI_DSP_ASSEMBLY 0
RATTI_INLINE void ratti_dsp_expand(const int8_t *first, const int8_t *second, int16_t *columns, int32_t count)
{
    int32_t c;
    for (c = 0; c < count; c += 4) {
        const uint32_t a = ratti_load_word(first + c), b = ratti_load_word(second + c);
        ratti_store_word(columns, ratti_even_bytes(a));
        ratti_store_word(columns + 2, ratti_even_bytes(b));
        ratti_store_word(columns + 4, ratti_odd_bytes(a));
        ratti_store_word(columns + 6, ratti_odd_bytes(b));
        columns += 8;
    }
}
#endif

typedef struct {
    int32_t y, x;
} ratti_dsp_place;

/* The windows of the output pixels a and b. */
RATTI_INLINE void ratti_dsp_columns(const int8_t *in, int16_t *columns, ratti_dsp_place a, ratti_dsp_place b,
                                    const ratti_conv s)
{
    const int32_t depth = ratti_dsp_depth(s);
    const int32_t top_a = a.y * s.stride_h - s.pad_top, left_a = a.x * s.stride_w - s.pad_left;
    const int32_t top_b = b.y * s.stride_h - s.pad_top, left_b = b.x * s.stride_w - s.pad_left;
    int8_t *behind = (int8_t *)(columns + 2 * depth);
    int32_t ky, kx;
    if (s.in_c % 4) {
        RATTI_ROLLED
        for (ky = 0; ky < 2; ++ky) {
            ratti_conv_window(in, behind + ky * depth, ky ? top_b : top_a, ky ? left_b : left_a, s);
        }
        ratti_dsp_expand(behind, behind + depth, columns, depth);
        return;
    }
    RATTI_ROLLED
    for (ky = 0; ky < s.kernel_h; ++ky) {
        const int32_t y_a = top_a + ky * s.dilation_h, y_b = top_b + ky * s.dilation_h;
        const int32_t rows = (y_a >= 0 && y_a < s.in_h ? 1 : 0) + (y_b >= 0 && y_b < s.in_h ? 2 : 0);
        const int8_t *row_a = in + (y_a * s.in_w + left_a) * s.in_c, *row_b = in + (y_b * s.in_w + left_b) * s.in_c;
        if (rows == 3 && s.dilation_w == 1 && left_a >= 0 && left_b >= 0 && left_a + s.kernel_w <= s.in_w &&
            left_b + s.kernel_w <= s.in_w) {
            ratti_dsp_expand(row_a, row_b, columns, s.kernel_w * s.in_c);
            columns += 2 * s.kernel_w * s.in_c;
            continue;
        }
        RATTI_ROLLED
        for (kx = 0; kx < s.kernel_w; ++kx) {
            const int32_t x = kx * s.dilation_w;
            const int32_t is_a = (rows & 1) && left_a + x >= 0 && left_a + x < s.in_w;
            const int32_t is_b = (rows & 2) && left_b + x >= 0 && left_b + x < s.in_w;
            ratti_dsp_expand(is_a ? row_a + x * s.in_c : behind, is_b ? row_b + x * s.in_c : behind, columns, s.in_c);
            columns += 2 * s.in_c;
        }
    }
}

#if RATTI_DSP_ASSEMBLY
/* Steps of a loop. Sixteen take 1 % fewer instructions, but the loop and what rounds its sums then no longer fit the
   kilobyte that many parts cache of their flash: half as long again on one with five wait states. */
#define RATTI_DSP_UNROLLED "8"

/* Thirteen instructions of 52 bytes for sixteen products: four channels of two pixels, two elements deep.
   r0 columns and r1 weights, eight bytes behind; r4-r7 low, r8-r11 both; r2, r3, r12 and lr are free. Both weights are
   loaded before the pixels: a load of two registers holds up what follows. Where a loop says so, four single loads take
   its place in the first steps: one instruction more, one cycle less. */
#define RATTI_DSP_STEP(update) \
    ".if ratti_at < ratti_single\n" \
    "ldr.w lr, [r1, #ratti_at + 4]\n ldr.n r3, [r1, #ratti_at]\n" \
    "ldr.w r12, [r0, #ratti_at + 4]\n ldr.n r2, [r0, #ratti_at]\n .else\n" \
    "ldr.w lr, [r1, #ratti_at + 4]\n ldr.w r3, [r1, #ratti_at]" update "\n" \
    "ldrd r2, r12, [r0, #ratti_at]" update "\n .endif\n" \
    "smlad r8, r3, r2, r8\n smlad r9, r3, r12, r9\n sxtb16 r3, r3\n" \
    "smlad r4, r3, r2, r4\n smlad r5, r3, r12, r5\n" \
    "smlad r10, lr, r2, r10\n smlad r11, lr, r12, r11\n sxtb16 lr, lr\n" \
    "smlad r6, lr, r2, r6\n smlad r7, lr, r12, r7\n"

/* The same for one pixel: nine instructions of 36 bytes. */
#define RATTI_DSP_STEP_ONE(update) \
    "ldr.w lr, [r1, #ratti_at + 4]\n ldr.w r3, [r1, #ratti_at]" update "\n ldr.w r2, [r0, #ratti_at]" update "\n" \
    "smlad r8, r3, r2, r8\n sxtb16 r3, r3\n smlad r4, r3, r2, r4\n" \
    "smlad r10, lr, r2, r10\n sxtb16 lr, lr\n smlad r6, lr, r2, r6\n"

/* Passes over the depth until r0 meets what [sp, #12] holds. */
#define RATTI_DSP_LOOP(label, unrolled, step) \
    ".p2align 2\n" label ":\n .set ratti_at, 8\n .rept " unrolled " - 1\n" \
    step("") ".set ratti_at, ratti_at + 8\n .endr\n" step("!") \
    "ldr r3, [sp, #12]\n cmp r0, r3\n bne " label "b\n"

/* Rounding of four channels by two pixels; r12 channels; r2 and r3 are free; `zero` is where the zero point lies. */
/* From sums to codes of four channels by two pixels; r12 channels; r0, r2, r3 and lr are free. `middle` is where
   2 * zero + 1 lies. Two roundings need |accumulator| < 2^30 only, so they work on twice the accumulator: with
   K = 2^(shift - 1) + (zero << shift) they are (K + round(2 * acc * multiplier / 2^32) - (acc < 0)) >> shift, because
   one less before the second makes ties go away from zero. */
#define RATTI_DSP_SINGLE(constants, a, b) \
    "ldrd r2, r3, [r12, #" constants "]\n smmla " a ", " a ", r2, r3\n smmla " b ", " b ", r2, r3\n"
#define RATTI_DSP_DOUBLE(constants, a, b, middle) \
    "ldrd r2, r3, [r12, #" constants "]\n ldr lr, " middle "\n lsl lr, lr, r3\n" \
    "smmlar r0, " a ", r2, lr\n add r0, r0, " a ", asr #31\n asr " a ", r0, r3\n" \
    "smmlar r0, " b ", r2, lr\n add r0, r0, " b ", asr #31\n asr " b ", r0, r3\n"
#define RATTI_DSP_ALL(how, rest) \
    how "r4, #8, r4" rest how "r5, #8, r5" rest how "r6, #8, r6" rest how "r7, #8, r7" rest \
    how "r8, #8, r8" rest how "r9, #8, r9" rest how "r10, #8, r10" rest how "r11, #8, r11" rest
#define RATTI_DSP_SEPARATE(shift) /* S1 from 256 * S1 + S0 */ \
    "sub r8, r8, r4\n sub r9, r9, r5\n sub r10, r10, r6\n sub r11, r11, r7\n" \
    "asr r8, r8, #" shift "\n asr r9, r9, #" shift "\n asr r10, r10, #" shift "\n asr r11, r11, #" shift "\n"
#define RATTI_DSP_CODES_SINGLE \
    RATTI_DSP_SEPARATE("8") \
    RATTI_DSP_SINGLE("4", "r4", "r5") RATTI_DSP_SINGLE("16", "r8", "r9") \
    RATTI_DSP_SINGLE("28", "r6", "r7") RATTI_DSP_SINGLE("40", "r10", "r11") \
    RATTI_DSP_ALL("ssat ", "\n")
#define RATTI_DSP_CODES_DOUBLE(middle) \
    RATTI_DSP_SEPARATE("7") \
    "lsl r4, r4, #1\n lsl r5, r5, #1\n lsl r6, r6, #1\n lsl r7, r7, #1\n" \
    RATTI_DSP_DOUBLE("4", "r4", "r5", middle) RATTI_DSP_DOUBLE("16", "r8", "r9", middle) \
    RATTI_DSP_DOUBLE("28", "r6", "r7", middle) RATTI_DSP_DOUBLE("40", "r10", "r11", middle) \
    RATTI_DSP_ALL("ssat ", ", asr #1\n")

/* All tiles of four channels of two pixels, or of one, rounded to the whole int8 range. The assembly knows the offsets.
   The first pixel is stored last: a single pixel has its place in both. */
typedef struct {
    const int16_t *columns;
    int32_t depth;
    const ratti_channel *channels;
    int8_t *out;
    int32_t next; /* from the first pixel's outputs to the second's; 0 where there is one pixel */
    int32_t count; /* of channels */
    int32_t middle, rounding;
} ratti_dsp_job;

/* On the stack: columns, entry and bytes that the first pass skips; where the columns end; `middle`; the tile's
   channels and outputs; `next`; where the outputs end; where the rounding goes on. The first pass over the depth
   begins in the middle of the loop, so that no steps remain. */
RATTI_NAKED void ratti_dsp_quads(RATTI_ARGUMENT const ratti_dsp_job *job, RATTI_ARGUMENT const uint32_t *weights)
{
    __asm__ volatile(
        "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n sub sp, sp, #40\n"
        "ldm r0, {r2, r3, r12, lr}\n ldrd r4, r5, [r0, #16]\n ldrd r6, r7, [r0, #24]\n add r5, r5, lr\n"
        "str r6, [sp, #16]\n strd r12, lr, [sp, #20]\n strd r4, r5, [sp, #28]\n"
        "adr.w r6, 9f\n cmp r7, #0\n beq 8f\n adr.w r6, 6f\n 8:\n add r6, r6, #1\n str r6, [sp, #36]\n"
        "add lr, r2, r3, lsl #2\n sub lr, lr, #8\n lsr r3, r3, #1\n rsb r3, r3, #0\n cmp r4, #0\n bne 3f\n"
        "and r3, r3, #7\n movs r4, #36\n adr.w r5, 2f\n b 4f\n"
        "3:\n and r3, r3, #" RATTI_DSP_UNROLLED " - 1\n movs r4, #52\n adr.w r5, 1f\n"
        "4:\n mul r4, r4, r3\n add r5, r5, r4\n add r5, r5, #1\n"
        "lsl r3, r3, #3\n sub r2, r2, r3\n sub r2, r2, #8\n sub r1, r1, #8\n"
        "stm sp, {r2, r5}\n strd r3, lr, [sp, #8]\n"
        "5:\n ldr r4, [r12]\n ldr r8, [r12, #12]\n ldr r6, [r12, #24]\n ldr r10, [r12, #36]\n"
        "mov r5, r4\n mov r7, r6\n mov r9, r8\n mov r11, r10\n"
        "ldm sp, {r0, r2, r3}\n sub r1, r1, r3\n bx r2\n"
        ".set ratti_single, 0\n" RATTI_DSP_LOOP("2", "8", RATTI_DSP_STEP_ONE) "ldr.w pc, [sp, #36]\n"
        RATTI_DSP_LOOP("1", RATTI_DSP_UNROLLED, RATTI_DSP_STEP) "ldr.w pc, [sp, #36]\n"
        ".p2align 2\n 9:\n ldrd r12, lr, [sp, #20]\n"
        RATTI_DSP_CODES_SINGLE
        "7:\n ldrd r2, r3, [sp, #28]\n add r2, r2, lr\n"
        "strb r5, [r2]\n strb r9, [r2, #1]\n strb r7, [r2, #2]\n strb r11, [r2, #3]\n"
        "strb r4, [lr]\n strb r8, [lr, #1]\n strb r6, [lr, #2]\n strb r10, [lr, #3]\n"
        "add lr, lr, #4\n add r12, r12, #48\n str r12, [sp, #20]\n str lr, [sp, #24]\n"
        "cmp lr, r3\n bne 5b\n"
        "add sp, sp, #40\n pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
        ".p2align 2\n 6:\n ldr r12, [sp, #20]\n" RATTI_DSP_CODES_DOUBLE("[sp, #16]") "ldr lr, [sp, #24]\n b 7b\n");
}

RATTI_INLINE ratti_dsp_job ratti_dsp_begin(const int16_t *columns, const ratti_channel *channels, const ratti_conv s)
{
    ratti_dsp_job job;
    job.columns = columns;
    job.depth = ratti_dsp_depth(s);
    job.channels = channels;
    job.count = s.out_c / 4 * 4;
    job.middle = 2 * s.out.zero + 1;
    job.rounding = s.out.rounding; /* RATTI_SINGLE is 0 */
    return job;
}

RATTI_INLINE void ratti_dsp_outputs(ratti_dsp_job *job, int8_t *out, const uint32_t *weights, const ratti_conv s,
                                    int32_t pixels)
{
    const int32_t whole = s.out_c / 4 * 4;
    int32_t p, k;
    if (whole) {
        job->out = out;
        job->next = pixels == 2 ? s.out_c : 0;
        ratti_dsp_quads(job, weights);
    }
    if (s.out_c % 4) {
        ratti_dsp_job rest = *job;
        int8_t last[8];
        rest.channels += whole;
        rest.out = last;
        rest.next = pixels == 2 ? 4 : 0;
        rest.count = 4;
        ratti_dsp_quads(&rest, weights + whole / 4 * ratti_dsp_depth(s));
        for (p = 0; p < pixels; ++p) {
            for (k = whole; k < s.out_c; ++k) {
                out[p * s.out_c + k] = last[4 * p + k % 4];
            }
        }
    }
    if (s.out.low > -128 || s.out.high < 127) {
        for (k = 0; k < pixels * s.out_c; ++k) {
            out[k] = (int8_t)ratti_clamp(out[k], s.out.low, s.out.high);
        }
    }
}
#endif

RATTI_INLINE int8_t ratti_dsp_code(int32_t acc, ratti_channel c, ratti_output out)
{
    return ratti_output_code(acc, c.multiplier, c.adjust + (out.rounding == RATTI_DOUBLE), out);
}

/* All output channels of one or two pixels in C. */
RATTI_INLINE void ratti_dsp_outputs_general(const int16_t *columns, int8_t *out, const uint32_t *weights,
                                            const ratti_channel *channels, const ratti_conv s, int32_t pixels)
{
    const int32_t depth = ratti_dsp_depth(s);
    int32_t o, p, i;
    for (o = 0; o < s.out_c; o += 2) {
        const uint32_t *tile = weights + o / 4 * depth + o / 2 % 2;
        for (p = 0; p < pixels; ++p) {
            int32_t low = channels[o].bias, both = channels[o + 1].bias;
            for (i = 0; i < depth; i += 2) {
                const uint32_t x = ratti_load_word(columns + 2 * i + 2 * p);
                low = ratti_dual_multiply(ratti_even_bytes(tile[i]), x, low);
                both = ratti_dual_multiply(tile[i], x, both);
            }
            both = (int32_t)((uint32_t)both - (uint32_t)low) >> 8;
            out[p * s.out_c + o] = ratti_dsp_code(low, channels[o], s.out);
            if (o + 1 < s.out_c) {
                out[p * s.out_c + o + 1] = ratti_dsp_code(both, channels[o + 1], s.out);
            }
        }
    }
}

RATTI_INLINE void ratti_conv_dsp(const int8_t *in, int8_t *out, const uint32_t *weights,
                                 const ratti_channel *channels, int8_t *scratch, int32_t row_begin, int32_t row_end,
                                 const ratti_conv s)
{
    const int32_t depth = ratti_dsp_depth(s), count = (row_end - row_begin) * s.out_w;
    const int32_t is_pointwise = ratti_conv_is_pointwise(s) && s.in_c % 4 == 0;
    int16_t *columns = (int16_t *)(void *)scratch;
    ratti_dsp_place a = {row_begin, 0};
    int32_t pixel;
#if RATTI_DSP_ASSEMBLY
    ratti_dsp_job job = ratti_dsp_begin(columns, channels, s);
#endif
    if (!is_pointwise && s.in_c % 4 == 0) {
        ratti_fill(columns + 2 * depth, (uint8_t)s.in_zero, (size_t)s.in_c);
    }
    in += is_pointwise ? row_begin * s.out_w * s.in_c : 0;
    out += row_begin * s.out_w * s.out_c;
    for (pixel = 0; pixel < count; pixel += 2) {
        const int32_t pixels = count - pixel < 2 ? 1 : 2;
        if (is_pointwise) {
            ratti_dsp_expand(in, in + (pixels - 1) * s.in_c, columns, s.in_c);
            in += 2 * s.in_c;
        } else {
            const ratti_dsp_place next = {a.x + 1 < s.out_w ? a.y : a.y + 1, a.x + 1 < s.out_w ? a.x + 1 : 0};
            ratti_dsp_columns(in, columns, a, pixels == 2 ? next : a, s);
            a.y = next.x + 1 < s.out_w ? next.y : next.y + 1;
            a.x = next.x + 1 < s.out_w ? next.x + 1 : 0;
        }
#if RATTI_DSP_ASSEMBLY
        if (s.out.rounding != RATTI_GENERAL) {
            ratti_dsp_outputs(&job, out, weights, s, pixels);
        } else
#endif
        {
            ratti_dsp_outputs_general(columns, out, weights, channels, s, pixels);
        }
        out += 2 * s.out_c;
    }
}
