#include "../support/dsp.h"
#include "geometry.h"

/* Convolution with the dual 16-bit multiply of Armv7E-M and Armv8-M: four output channels by two pixels, the weights of
   two channels in each halfword.

   A halfword holds 256 * w1 + w0. Multiplying it as it is accumulates 256 * S1 + S0; multiplying its sign-extended
   low byte accumulates S0. So one sign extension serves four weights that take four bytes of flash. Exact while
   |S1 + bias1| < 2^23, which the packer proves.

   weights: tiles of [depth / 2][2] words for four channels; depth and channels are padded with zeros to multiples of
   four.
   columns: scratch for the windows of two pixels as int16, `depth` each; words of the two pixels alternate, so that one
   load takes both. Elements of each four lie in the order 0 2 1 3, as two sign extensions leave them. Behind them,
   where in_c is no multiple of four, a window as bytes. `out` must not overlap `in`. */
RATTI_INLINE int32_t ratti_dsp_depth(ratti_conv s)
{
    return (ratti_conv_depth(s) + 3) & ~3;
}

/* `count` codes to int16, every `pixels`-th word; the last word of a count that is no multiple of four holds zeros. */
RATTI_INLINE int16_t *ratti_dsp_expand(const int8_t *source, int16_t *column, const int32_t count,
                                       const int32_t pixels)
{
    int32_t c;
    for (c = 0; c < count; c += 4) {
        uint32_t bytes = 0;
        ratti_copy(&bytes, source + c, count - c < 4 ? (size_t)(count - c) : 4);
        ratti_store_word(column, ratti_even_bytes(bytes));
        ratti_store_word(column + 2 * pixels, ratti_odd_bytes(bytes));
        column += 4 * pixels;
    }
    return column;
}

RATTI_INLINE int16_t *ratti_dsp_zero(int16_t *column, const int32_t count, const int32_t pixels, int32_t zero)
{
    int32_t c;
    for (c = 0; c < count; c += 2) {
        ratti_store_word(column, ((uint32_t)zero & 0xffffu) * 0x10001u);
        column += 2 * pixels;
    }
    return column;
}

/* The window of one output pixel, for in_c a multiple of four. */
RATTI_INLINE void ratti_dsp_column(const int8_t *in, int16_t *column, int32_t top, int32_t left, const ratti_conv s,
                                   const int32_t pixels)
{
    int32_t ky, kx;
    for (ky = 0; ky < s.kernel_h; ++ky) {
        const int32_t y = top + ky * s.dilation_h;
        if (y < 0 || y >= s.in_h) {
            column = ratti_dsp_zero(column, s.kernel_w * s.in_c, pixels, s.in_zero);
        } else if (s.dilation_w == 1 && left >= 0 && left + s.kernel_w <= s.in_w) {
            column = ratti_dsp_expand(in + (y * s.in_w + left) * s.in_c, column, s.kernel_w * s.in_c, pixels);
        } else {
            for (kx = 0; kx < s.kernel_w; ++kx) {
                const int32_t x = left + kx * s.dilation_w;
                if (x >= 0 && x < s.in_w) {
                    column = ratti_dsp_expand(in + (y * s.in_w + x) * s.in_c, column, s.in_c, pixels);
                } else {
                    column = ratti_dsp_zero(column, s.in_c, pixels, s.in_zero);
                }
            }
        }
    }
}

/* Sums of two channel pairs: for each pixel S0 and 256 * S1 + S0. The assembly below knows the order. */
typedef struct {
    int32_t low[2][2], both[2][2]; /* [channel pair][pixel] */
} ratti_dsp_sums;

#if defined(__ARM_FEATURE_DSP) && __ARM_ARCH_PROFILE == 'M'
#define RATTI_DSP_ASSEMBLY 1
#define RATTI_NAKED static __attribute__((naked, noinline))
#define RATTI_ARGUMENT __attribute__((unused))
#if defined(__OPTIMIZE_SIZE__)
#define RATTI_DSP_UNROLLED "8"
#else
#define RATTI_DSP_UNROLLED "16"
#endif

/* Thirteen instructions of 52 bytes for sixteen products: four channels of two pixels, two elements deep.
   r0 columns and r1 weights, eight bytes behind; r4-r7 low, r8-r11 both; r2, r3, r12 and lr are free. Both weights are
   loaded before the pixels: a load of two registers holds up what follows. */
#define RATTI_DSP_STEP(update) \
    "ldr.w lr, [r1, #ratti_at + 4]\n ldr.w r3, [r1, #ratti_at]" update "\n ldrd r2, r12, [r0, #ratti_at]" update "\n" \
    "smlad r8, r3, r2, r8\n smlad r9, r3, r12, r9\n sxtb16 r3, r3\n" \
    "smlad r4, r3, r2, r4\n smlad r5, r3, r12, r5\n" \
    "smlad r10, lr, r2, r10\n smlad r11, lr, r12, r11\n sxtb16 lr, lr\n" \
    "smlad r6, lr, r2, r6\n smlad r7, lr, r12, r7\n"

/* What the loop is entered with, made from r2 columns and r3 depth: on the stack the columns, the entry and the bytes
   that the first pass skips; where the columns end. The first pass begins in the middle, so that no steps remain. */
#define RATTI_DSP_ENTRY \
    "add r12, r2, r3, lsl #2\n sub r12, r12, #8\n lsr r3, r3, #1\n" \
    "rsb r3, r3, #0\n and r3, r3, #" RATTI_DSP_UNROLLED " - 1\n" \
    "movs r4, #52\n mul r4, r4, r3\n adr r5, 1f\n add r5, r5, r4\n add r5, r5, #1\n" \
    "lsl r3, r3, #3\n sub r2, r2, r3\n sub r2, r2, #8\n sub r1, r1, #8\n" \
    "sub sp, sp, #16\n stm sp, {r2, r5}\n strd r3, r12, [sp, #8]\n"
#define RATTI_DSP_LOOP \
    "ldm sp, {r0, r2, r3}\n sub r1, r1, r3\n bx r2\n" \
    ".p2align 2\n 1:\n .set ratti_at, 8\n .rept " RATTI_DSP_UNROLLED " - 1\n" \
    RATTI_DSP_STEP("") ".set ratti_at, ratti_at + 8\n .endr\n" RATTI_DSP_STEP("!") \
    "ldr r3, [sp, #12]\n cmp r0, r3\n bne 1b\n"

/* Adds `depth` products to each of eight sums. */
RATTI_NAKED void ratti_dsp_multiply_quad(RATTI_ARGUMENT const int16_t *columns, RATTI_ARGUMENT const uint32_t *weights,
                                         RATTI_ARGUMENT ratti_dsp_sums *sums, RATTI_ARGUMENT int32_t depth)
{
    __asm__ volatile(
        "push {r2, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n mov lr, r2\n mov r2, r0\n"
        RATTI_DSP_ENTRY
        "ldm lr, {r4, r5, r6, r7, r8, r9, r10, r11}\n"
        RATTI_DSP_LOOP
        "add sp, sp, #16\n ldr r0, [sp]\n stm r0, {r4, r5, r6, r7, r8, r9, r10, r11}\n"
        "pop {r2, r4, r5, r6, r7, r8, r9, r10, r11, pc}\n");
}

/* All tiles of four channels of two pixels, rounded to the whole int8 range. The assembly knows the offsets. */
typedef struct {
    const int16_t *columns;
    int32_t depth;
    const ratti_channel *channels;
    int8_t *out;
    int32_t out_c;
    const int8_t *end; /* of the first pixel's outputs */
    int32_t zero, rounding;
} ratti_dsp_job;

#define RATTI_DSP_SINGLE(constants, a, b) \
    "ldrd r2, r3, [r12, #" constants "]\n smmla " a ", " a ", r2, r3\n smmla " b ", " b ", r2, r3\n"
#define RATTI_DSP_DOUBLE(constants, a, b) \
    "ldrd r2, r3, [r12, #" constants "]\n" \
    "lsl " a ", " a ", #1\n lsl " b ", " b ", #1\n smmulr " a ", " a ", r2\n smmulr " b ", " b ", r2\n" \
    "movs r2, #1\n lsl r2, r2, r3\n" /* twice the half that rounds */ \
    "add " a ", " a ", " a ", asr #31\n add " b ", " b ", " b ", asr #31\n" \
    "add " a ", " a ", r2, lsr #1\n add " b ", " b ", r2, lsr #1\n ldr r2, [r0, #24]\n" \
    "asr " a ", " a ", r3\n asr " b ", " b ", r3\n add " a ", " a ", r2\n add " b ", " b ", r2\n"
#define RATTI_DSP_ROUND(how) \
    how("4", "r4", "r5") how("16", "r8", "r9") how("28", "r6", "r7") how("40", "r10", "r11")

RATTI_NAKED void ratti_dsp_quads(RATTI_ARGUMENT ratti_dsp_job *job, RATTI_ARGUMENT const uint32_t *weights)
{
    __asm__ volatile(
        "push {r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n ldrd r2, r3, [r0]\n"
        RATTI_DSP_ENTRY
        "5:\n ldr r0, [sp, #16]\n ldr r12, [r0, #8]\n"
        "ldr r4, [r12]\n ldr r8, [r12, #12]\n ldr r6, [r12, #24]\n ldr r10, [r12, #36]\n"
        "add r8, r4, r8, lsl #8\n add r10, r6, r10, lsl #8\n"
        "mov r5, r4\n mov r7, r6\n mov r9, r8\n mov r11, r10\n"
        RATTI_DSP_LOOP
        "ldr r0, [sp, #16]\n ldr r3, [r0, #28]\n ldr r12, [r0, #8]\n"
        "sub r8, r8, r4\n sub r9, r9, r5\n sub r10, r10, r6\n sub r11, r11, r7\n"
        "asr r8, r8, #8\n asr r9, r9, #8\n asr r10, r10, #8\n asr r11, r11, #8\n"
        "cmp r3, #0\n bne 6f\n" RATTI_DSP_ROUND(RATTI_DSP_SINGLE)
        "7:\n ldr lr, [r0, #12]\n ldrd r2, r3, [r0, #16]\n add r2, r2, lr\n"
        "ssat r4, #8, r4\n ssat r5, #8, r5\n ssat r6, #8, r6\n ssat r7, #8, r7\n"
        "ssat r8, #8, r8\n ssat r9, #8, r9\n ssat r10, #8, r10\n ssat r11, #8, r11\n"
        "strb r4, [lr]\n strb r8, [lr, #1]\n strb r6, [lr, #2]\n strb r10, [lr, #3]\n"
        "strb r5, [r2]\n strb r9, [r2, #1]\n strb r7, [r2, #2]\n strb r11, [r2, #3]\n"
        "add lr, lr, #4\n add r12, r12, #48\n strd r12, lr, [r0, #8]\n"
        "cmp lr, r3\n bne 5b\n"
        "add sp, sp, #16\n pop {r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
        "6:\n" RATTI_DSP_ROUND(RATTI_DSP_DOUBLE) "b 7b\n");
}
#endif

RATTI_INLINE void ratti_dsp_multiply(const int16_t *columns, const uint32_t *weights, ratti_dsp_sums *s,
                                     const int32_t depth, const int32_t pixels, const int32_t pairs)
{
    int32_t i, k, p;
#if defined(RATTI_DSP_ASSEMBLY)
    if (pixels == 2 && pairs == 2) {
        ratti_dsp_multiply_quad(columns, weights, s, depth);
        return;
    }
#endif
    for (i = 0; i < depth; i += 2) {
        uint32_t x[2];
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            x[p] = ratti_load_word(columns + 2 * p);
        }
        RATTI_UNROLL
        for (k = 0; k < pairs; ++k) {
            const uint32_t w = weights[k], w_low = ratti_even_bytes(w);
            RATTI_UNROLL
            for (p = 0; p < pixels; ++p) {
                s->both[k][p] = ratti_dual_multiply(w, x[p], s->both[k][p]);
                s->low[k][p] = ratti_dual_multiply(w_low, x[p], s->low[k][p]);
            }
        }
        columns += 2 * pixels;
        weights += 2;
    }
}

/* The first `store` of four channels, of one or two pixels. */
RATTI_INLINE void ratti_dsp_tile(const int16_t *columns, int8_t *out, const uint32_t *weights,
                                 const ratti_channel *channels, const ratti_conv s, const int32_t pixels,
                                 const int32_t store)
{
    const int32_t pairs = (store + 1) / 2;
    ratti_dsp_sums sums;
    int32_t k, p;
    RATTI_UNROLL
    for (k = 0; k < pairs; ++k) {
        const int32_t lower = channels[2 * k].bias;
        const uint32_t upper = 2 * k + 1 < store ? (uint32_t)channels[2 * k + 1].bias << 8 : 0;
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            sums.low[k][p] = lower;
            sums.both[k][p] = (int32_t)((uint32_t)lower + upper);
        }
    }
    ratti_dsp_multiply(columns, weights, &sums, ratti_dsp_depth(s), pixels, pairs);
    RATTI_UNROLL
    for (k = 0; k < store; ++k) {
        const ratti_channel c = channels[k];
        RATTI_UNROLL
        for (p = 0; p < pixels; ++p) {
            const int32_t first = sums.low[k / 2][p];
            const int32_t acc = k % 2 ? (int32_t)((uint32_t)sums.both[k / 2][p] - (uint32_t)first) >> 8 : first;
            out[p * s.out_c + k] = ratti_output_code(acc, c.multiplier, c.adjust, s.out);
        }
    }
}

/* All output channels of one or two pixels. */
RATTI_INLINE void ratti_dsp_pixels(const int8_t *in, int16_t *columns, int8_t *out, const uint32_t *weights,
                                   const ratti_channel *channels, int32_t pixel, const ratti_conv s,
                                   const int32_t pixels)
{
    const int32_t depth = ratti_dsp_depth(s);
    int32_t o, p;
    for (p = 0; p < pixels; ++p) {
        const int32_t top = (pixel + p) / s.out_w * s.stride_h - s.pad_top;
        const int32_t left = (pixel + p) % s.out_w * s.stride_w - s.pad_left;
        int16_t *column = columns + 2 * p;
        if (ratti_conv_is_pointwise(s)) {
            ratti_dsp_expand(in + (pixel + p) * s.in_c, column, s.in_c, pixels);
        } else if (s.in_c % 4 == 0) {
            ratti_dsp_column(in, column, top, left, s, pixels);
        } else {
            int8_t *window = (int8_t *)(columns + 2 * depth);
            ratti_conv_window(in, window, top, left, s);
            ratti_dsp_expand(window, column, ratti_conv_depth(s), pixels);
        }
    }
    out += pixel * s.out_c;
    o = 0;
#if defined(RATTI_DSP_ASSEMBLY)
    if (pixels == 2 && s.out_c >= 4 && s.out.rounding != RATTI_GENERAL && s.out.low == -128 && s.out.high == 127) {
        ratti_dsp_job job;
        o = s.out_c / 4 * 4;
        job.columns = columns;
        job.depth = depth;
        job.channels = channels;
        job.out = out;
        job.out_c = s.out_c;
        job.end = out + o;
        job.zero = s.out.zero;
        job.rounding = s.out.rounding; /* RATTI_SINGLE is 0 */
        ratti_dsp_quads(&job, weights);
        weights += o / 4 * depth;
    }
#endif
    for (; o + 4 <= s.out_c; o += 4) {
        ratti_dsp_tile(columns, out + o, weights, channels + o, s, pixels, 4);
        weights += depth;
    }
    if (s.out_c % 4) {
        ratti_dsp_tile(columns, out + o, weights, channels + o, s, pixels, s.out_c % 4);
    }
}

RATTI_INLINE void ratti_conv_dsp(const int8_t *in, int8_t *out, const uint32_t *weights,
                                 const ratti_channel *channels, int8_t *scratch, int32_t row_begin, int32_t row_end,
                                 const ratti_conv s)
{
    const int32_t end = row_end * s.out_w;
    int16_t *columns = (int16_t *)(void *)scratch;
    int32_t pixel = row_begin * s.out_w;
    for (; pixel + 2 <= end; pixel += 2) {
        ratti_dsp_pixels(in, columns, out, weights, channels, pixel, s, 2);
    }
    if (pixel < end) {
        ratti_dsp_pixels(in, columns, out, weights, channels, pixel, s, 1);
    }
}
