#include "../support/multiply.h"
#include "geometry.h"

/* Convolution for Armv6-M: two output channels by two pixels. Products go through the eight low registers, sums stay in
   the high ones.

   Inputs are stored as code + 128, so that an unsigned load with an immediate offset takes them; the bias makes up for
   it. weights: tiles of [depth][2] for two channels; depth is padded with zeros to a multiple of four, channels to two.
   columns: scratch for the windows of two pixels, their bytes alternating.
   `out` may overlap `in` as `overlap` of the kernel says. */
RATTI_INLINE int32_t ratti_thumb_depth(ratti_conv s)
{
    return (ratti_conv_depth(s) + 3) & ~3;
}

/* `count` codes to every second byte. */
RATTI_INLINE uint8_t *ratti_thumb_copy(const int8_t *source, uint8_t *column, const int32_t count)
{
    int32_t i;
    RATTI_UNROLL_4
    for (i = 0; i < count; ++i) {
        column[2 * i] = (uint8_t)(source[i] ^ 0x80);
    }
    return column + 2 * count;
}

RATTI_INLINE uint8_t *ratti_thumb_zero(uint8_t *column, const int32_t count, const int32_t zero)
{
    int32_t i;
    RATTI_UNROLL_4
    for (i = 0; i < count; ++i) {
        column[2 * i] = (uint8_t)(zero + 128);
    }
    return column + 2 * count;
}

/* The window of one output pixel. */
RATTI_INLINE void ratti_thumb_column(const int8_t *in, uint8_t *column, int32_t pixel, const ratti_conv s)
{
    const int32_t top = pixel / s.out_w * s.stride_h - s.pad_top;
    const int32_t left = pixel % s.out_w * s.stride_w - s.pad_left;
    int32_t ky, kx;
    if (ratti_conv_is_pointwise(s)) {
        column = ratti_thumb_copy(in + pixel * s.in_c, column, s.in_c);
    } else {
        for (ky = 0; ky < s.kernel_h; ++ky) {
            const int32_t y = top + ky * s.dilation_h;
            if (y < 0 || y >= s.in_h) {
                column = ratti_thumb_zero(column, s.kernel_w * s.in_c, s.in_zero);
            } else if (s.dilation_w == 1 && left >= 0 && left + s.kernel_w <= s.in_w) {
                column = ratti_thumb_copy(in + (y * s.in_w + left) * s.in_c, column, s.kernel_w * s.in_c);
            } else {
                for (kx = 0; kx < s.kernel_w; ++kx) {
                    const int32_t x = left + kx * s.dilation_w;
                    if (x >= 0 && x < s.in_w) {
                        column = ratti_thumb_copy(in + (y * s.in_w + x) * s.in_c, column, s.in_c);
                    } else {
                        column = ratti_thumb_zero(column, s.in_c, s.in_zero);
                    }
                }
            }
        }
    }
    ratti_thumb_zero(column, ratti_thumb_depth(s) - ratti_conv_depth(s), 0);
}

#if defined(__ARM_ARCH_6M__)
/* Fourteen instructions for four products. r0 columns, r1 weights, r8-r11 sums, r6 = 0, r7 = 1. */
#define RATTI_THUMB_STEP(first, second) \
    "ldrb r2, [r0, #" first "]\n ldrb r3, [r0, #" second "]\n ldrsb r4, [r1, r6]\n" \
    "movs r5, r4\n muls r5, r2, r5\n add r8, r5\n muls r4, r3, r4\n add r9, r4\n" \
    "ldrsb r4, [r1, r7]\n muls r2, r4, r2\n add r10, r2\n muls r3, r4, r3\n add r11, r3\n adds r1, #2\n"
#define RATTI_THUMB_STEPS_4 \
    RATTI_THUMB_STEP("0", "1") RATTI_THUMB_STEP("2", "3") RATTI_THUMB_STEP("4", "5") RATTI_THUMB_STEP("6", "7")
#define RATTI_THUMB_STEPS_8 \
    RATTI_THUMB_STEPS_4 RATTI_THUMB_STEP("8", "9") RATTI_THUMB_STEP("10", "11") \
    RATTI_THUMB_STEP("12", "13") RATTI_THUMB_STEP("14", "15")

/* Adds `depth` products to each of the sums [channel][pixel]. */
static __attribute__((naked, noinline)) void ratti_thumb_multiply(
    __attribute__((unused)) const uint8_t *columns, __attribute__((unused)) const int8_t *weights,
    __attribute__((unused)) int32_t *sums, __attribute__((unused)) int32_t depth)
{
    __asm__ volatile(
        "push {r2, r3, r4, r5, r6, r7, lr}\n"
        "mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n push {r4, r5, r6, r7}\n"
        "ldm r2!, {r4, r5, r6, r7}\n mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
        "lsrs r3, r3, #3\n lsls r3, r3, #4\n adds r3, r3, r0\n mov r12, r3\n"
        "movs r6, #0\n movs r7, #1\n"
        "cmp r0, r12\n beq 2f\n"
        "1:\n" RATTI_THUMB_STEPS_8 "adds r0, #16\n cmp r0, r12\n bne 1b\n"
        "2:\n ldr r3, [sp, #20]\n lsls r3, r3, #29\n bpl 3f\n" /* negative: depth has a 4 */
        RATTI_THUMB_STEPS_4
        "3:\n ldr r2, [sp, #16]\n mov r4, r8\n mov r5, r9\n mov r6, r10\n mov r7, r11\n stm r2!, {r4, r5, r6, r7}\n"
        "pop {r4, r5, r6, r7}\n mov r8, r4\n mov r9, r5\n mov r10, r6\n mov r11, r7\n"
        "pop {r2, r3, r4, r5, r6, r7, pc}\n");
}
#else
RATTI_INLINE void ratti_thumb_multiply(const uint8_t *columns, const int8_t *weights, int32_t *sums, int32_t depth)
{
    int32_t i;
    for (i = 0; i < 2 * depth; i += 2) {
        sums[0] += weights[i] * columns[i];
        sums[1] += weights[i] * columns[i + 1];
        sums[2] += weights[i + 1] * columns[i];
        sums[3] += weights[i + 1] * columns[i + 1];
    }
}
#endif

/* `store` of two channels of `pixels` of two pixels. */
RATTI_INLINE void ratti_thumb_tile(const uint8_t *columns, int8_t *out, const int8_t *weights,
                                   const ratti_channel *channels, const ratti_conv s, int32_t pixels,
                                   const int32_t store)
{
    int32_t sums[4], k;
    sums[0] = sums[1] = channels[0].bias;
    sums[2] = sums[3] = store == 2 ? channels[1].bias : 0;
    ratti_thumb_multiply(columns, weights, sums, ratti_thumb_depth(s));
    for (k = 0; k < store; ++k) {
        const ratti_channel c = channels[k];
        out[k] = ratti_output_code(sums[2 * k], c.multiplier, c.adjust, s.out);
        if (pixels == 2) {
            out[s.out_c + k] = ratti_output_code(sums[2 * k + 1], c.multiplier, c.adjust, s.out);
        }
    }
}

RATTI_INLINE void ratti_conv_thumb(const int8_t *in, int8_t *out, const int8_t *weights,
                                   const ratti_channel *channels, int8_t *scratch, int32_t row_begin,
                                   int32_t row_end, const ratti_conv s)
{
    const int32_t depth = ratti_thumb_depth(s), end = row_end * s.out_w;
    uint8_t *columns = (uint8_t *)scratch;
    int32_t pixel, o, p;
    for (pixel = row_begin * s.out_w; pixel < end; pixel += 2) {
        const int32_t pixels = end - pixel < 2 ? 1 : 2;
        int8_t *place = out + pixel * s.out_c;
        const int8_t *w = weights;
        for (p = 0; p < 2; ++p) { /* an odd last pixel is computed twice and stored once */
            ratti_thumb_column(in, columns + p, pixel + (p < pixels ? p : 0), s);
        }
        for (o = 0; o + 2 <= s.out_c; o += 2) {
            ratti_thumb_tile(columns, place + o, w, channels + o, s, pixels, 2);
            w += 2 * depth;
        }
        if (s.out_c % 2) {
            ratti_thumb_tile(columns, place + o, w, channels + o, s, pixels, 1);
        }
    }
}
