#include "dsp.h"

/* Convolution of kernels three wide and stride 1 along the row by Winograd's F(2,3), in exact integers: two outputs of
   a row from four products instead of six (Winograd, "Arithmetic Complexity of Computations", 1980).

   With pixels d0..d3 and weights g0..g2, and s = g0 + g2:
       M1 = (s + g1) (d1 + d2),  M2 = (s - g1) (d2 - d1)
       y0 = (M1 + M2) / 2 + g0 (d0 - d2),  y1 = (M1 - M2) / 2 + g2 (d3 - d1)
   summed over channels and kernel rows; both halves are whole numbers. Four output channels by two tiles of two pixels
   at a time. The last two products take weights of two channels in each halfword, as in dsp.h.

   weights: for each four channels [steps][4] words of s + g1 and s - g1, [steps][2] words of g0 and g2 in the packing
   of dsp.h, for pairs of elements; steps are padded with zeros to a multiple of RATTI_WINOGRAD_UNROLLED.
   channels: the biases are doubled; `adjust` as in dsp.h. in_c and out_c are multiples of four.
   scratch: the transformed rows of two tiles, [product][row][in_c / 2][tile] words, and what padded steps read behind
   them; a row of six pixels; the outputs of a pixel that lies beyond the row.

   Four output pixels of a row at a time; where neither stride nor dilation keeps the windows of two rows apart, of two
   rows, whose transformed rows are shared. The windows of all eight (four) are read before they are stored. Pairs of
   rows begin at row_begin; pixels in order. `out` may overlap `in` as `overlap` of the kernel says. */
#define RATTI_WINOGRAD_UNROLLED 8

typedef struct {
    const uint32_t *tiles; /* two words behind */
    int32_t steps_bytes, product_bytes;
    const ratti_channel *channels, *end;
    int8_t *out[4]; /* first pixels of both tiles, second pixels; the assembly moves them */
    int32_t middle, rounding;
} ratti_winograd_job;

RATTI_INLINE int32_t ratti_winograd_steps(ratti_conv s)
{
    const int32_t steps = s.kernel_h * s.in_c / 2 + RATTI_WINOGRAD_UNROLLED - 1;
    return steps - steps % RATTI_WINOGRAD_UNROLLED;
}

/* Rows of the output at a time. */
RATTI_INLINE int32_t ratti_winograd_rows(ratti_conv s)
{
    return s.stride_h == 1 && s.dilation_h == 1 ? 2 : 1;
}

/* Words of one product. */
RATTI_INLINE int32_t ratti_winograd_product(ratti_conv s)
{
    return (s.kernel_h + ratti_winograd_rows(s) - 1) * s.in_c;
}

/* One row of six pixels: four channels at a time, as the two pairs that sign extensions make of a word. */
RATTI_INLINE void ratti_winograd_transform(const int8_t *row, uint32_t *tiles, const ratti_conv s)
{
    const int32_t product = ratti_winograd_product(s);
    int32_t c, half, p;
    for (c = 0; c < s.in_c; c += 4) {
        uint32_t bytes[6], d[6];
        RATTI_UNROLL
        for (p = 0; p < 6; ++p) {
            bytes[p] = ratti_load_word(row + p * s.in_c);
        }
        RATTI_UNROLL
        for (half = 0; half < 2; ++half) {
            RATTI_UNROLL
            for (p = 0; p < 6; ++p) {
                d[p] = half ? ratti_odd_bytes(bytes[p]) : ratti_even_bytes(bytes[p]);
            }
            RATTI_UNROLL
            for (p = 0; p < 2; ++p) {
                tiles[p] = ratti_pair_add(d[2 * p + 1], d[2 * p + 2]);
                tiles[product + p] = ratti_pair_subtract(d[2 * p + 2], d[2 * p + 1]);
                tiles[2 * product + p] = ratti_pair_subtract(d[2 * p], d[2 * p + 2]);
                tiles[3 * product + p] = ratti_pair_subtract(d[2 * p + 3], d[2 * p + 1]);
            }
            tiles += 2;
        }
        row += 4;
    }
}

/* The rows that the outputs (oy, ox) to (oy + rows - 1, ox + 3) read. */
RATTI_INLINE void ratti_winograd_window(const int8_t *in, uint32_t *tiles, int8_t *row, int32_t oy, int32_t ox,
                                        int32_t rows, const ratti_conv s)
{
    const int32_t left = ox - s.pad_left;
    int32_t ky, p;
    for (ky = 0; ky < s.kernel_h + rows - 1; ++ky) {
        const int32_t y = oy * s.stride_h - s.pad_top + ky * s.dilation_h;
        const int8_t *source = in + (y * s.in_w + left) * s.in_c;
        if (y < 0 || y >= s.in_h || left < 0 || left + 6 > s.in_w) {
            for (p = 0; p < 6; ++p) {
                if (y < 0 || y >= s.in_h || left + p < 0 || left + p >= s.in_w) {
                    ratti_fill(row + p * s.in_c, (uint8_t)s.in_zero, (size_t)s.in_c);
                } else {
                    ratti_copy(row + p * s.in_c, in + (y * s.in_w + left + p) * s.in_c, (size_t)s.in_c);
                }
            }
            source = row;
        }
        ratti_winograd_transform(source, tiles + ky * s.in_c, s);
    }
}

#if RATTI_DSP_ASSEMBLY
/* Thirteen instructions: four channels of two tiles, two elements deep, weights of 16 bits. r0 tiles and r1 weights,
   eight bytes behind; sums as RATTI_DSP_STEP has them. */
#define RATTI_WINOGRAD_STEP(update) \
    "ldr.w r2, [r1, #2 * ratti_at - 8]\n ldr.w r3, [r1, #2 * ratti_at - 4]\n" \
    "ldr.w lr, [r0, #ratti_at + 4]\n ldr.w r12, [r0, #ratti_at]" update "\n" \
    "smlad r4, r2, r12, r4\n smlad r5, r2, lr, r5\n smlad r8, r3, r12, r8\n smlad r9, r3, lr, r9\n" \
    "ldrd r2, r3, [r1, #2 * ratti_at]" update "\n" \
    "smlad r6, r2, r12, r6\n smlad r7, r2, lr, r7\n smlad r10, r3, r12, r10\n smlad r11, r3, lr, r11\n"
#define RATTI_WINOGRAD_STEPS(step) \
    ".set ratti_at, 8\n .rept 7\n" step("") ".set ratti_at, ratti_at + 8\n .endr\n" step("!") \
    "ldr r3, [sp, #32]\n cmp r0, r3\n"

/* All channels of two tiles, rounded to the whole int8 range. On the stack: eight sums; where the product at work ends;
   where the first ends; where the three others begin and end; `middle`; the channels at work; the job. */
RATTI_NAKED void ratti_winograd_quads(RATTI_ARGUMENT ratti_winograd_job *job, RATTI_ARGUMENT const uint32_t *weights)
{
    __asm__ volatile(
        "push {r0, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n sub sp, sp, #72\n sub r1, r1, #8\n"
        "ldr r2, [r0]\n ldrd r3, r4, [r0, #4]\n add r3, r3, r2\n"
        "ldr r5, [r0, #36]\n ldr r12, [r0, #12]\n strd r5, r12, [sp, #64]\n"
        "str r3, [sp, #36]\n add r2, r2, r4\n add r3, r3, r4\n strd r2, r3, [sp, #40]\n"
        "add r2, r2, r4\n add r3, r3, r4\n strd r2, r3, [sp, #48]\n"
        "add r2, r2, r4\n add r3, r3, r4\n strd r2, r3, [sp, #56]\n"
        "1:\n ldr r0, [sp, #72]\n ldr r2, [sp, #36]\n ldr r0, [r0]\n str r2, [sp, #32]\n"
        "ldr r4, [r12]\n ldr r8, [r12, #12]\n ldr r6, [r12, #24]\n ldr r10, [r12, #36]\n"
        "mov r5, r4\n mov r7, r6\n mov r9, r8\n mov r11, r10\n"
        "2:\n" RATTI_WINOGRAD_STEPS(RATTI_WINOGRAD_STEP) "bne 2b\n"
        "ldr r2, [sp, #36]\n cmp r0, r2\n bne 3f\n"
        "stm sp, {r4, r5, r6, r7, r8, r9, r10, r11}\n ldrd r0, r2, [sp, #40]\n str r2, [sp, #32]\n b 2b\n"
        "3:\n asr r4, r4, #1\n asr r5, r5, #1\n asr r6, r6, #1\n asr r7, r7, #1\n"
        "asr r8, r8, #1\n asr r9, r9, #1\n asr r10, r10, #1\n asr r11, r11, #1\n"
        "ldm sp, {r2, r3, r12, lr}\n sub r2, r2, r4\n sub r3, r3, r5\n sub r12, r12, r6\n sub lr, lr, r7\n"
        "stm sp, {r2, r3, r12, lr}\n ldrd r2, r3, [sp, #16]\n ldrd r12, lr, [sp, #24]\n"
        "sub r2, r2, r8\n sub r3, r3, r9\n sub r12, r12, r10\n sub lr, lr, r11\n"
        "strd r2, r3, [sp, #16]\n strd r12, lr, [sp, #24]\n ldrd r0, r2, [sp, #48]\n"
        "4:\n str r2, [sp, #32]\n"
        "add r8, r4, r8, lsl #8\n add r9, r5, r9, lsl #8\n add r10, r6, r10, lsl #8\n add r11, r7, r11, lsl #8\n"
        ".set ratti_single, 24\n 5:\n" RATTI_WINOGRAD_STEPS(RATTI_DSP_STEP) "bne 5b\n"
        "ldrd r12, lr, [sp, #68]\n ldr r3, [lr, #40]\n cmp r3, #0\n bne 8f\n"
        RATTI_DSP_CODES_SINGLE
        "6:\n ldrd r2, r3, [lr, #20]\n"
        "strb r4, [r2], #1\n strb r8, [r2], #1\n strb r6, [r2], #1\n strb r10, [r2], #1\n"
        "strb r5, [r3], #1\n strb r9, [r3], #1\n strb r7, [r3], #1\n strb r11, [r3], #1\n"
        "ldrd r4, r5, [lr, #28]\n strd r2, r3, [lr, #28]\n strd r4, r5, [lr, #20]\n"
        "ldr r3, [sp, #32]\n ldr r2, [sp, #60]\n cmp r3, r2\n beq 7f\n"
        "ldm sp, {r4, r5, r6, r7, r8, r9, r10, r11}\n ldrd r0, r2, [sp, #56]\n b 4b\n"
        "7:\n ldr r2, [lr, #16]\n add r12, r12, #48\n str r12, [sp, #68]\n cmp r12, r2\n bne 1b\n"
        "add sp, sp, #72\n pop {r0, r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
        "8:\n" RATTI_DSP_CODES_DOUBLE("[sp, #64]") "ldr lr, [sp, #72]\n b 6b\n");
}
#endif

/* All channels of two tiles in C. */
RATTI_INLINE void ratti_winograd_tiles(ratti_winograd_job *job, const uint32_t *tiles, const uint32_t *weights,
                                       const ratti_conv s)
{
    const int32_t steps = ratti_winograd_steps(s), product = ratti_winograd_product(s);
    int32_t o, k, p, y, m;
    for (o = 0; o < s.out_c; o += 4) {
        int32_t sums[2][4][2]; /* [product][channel][tile]; then [pixel of the tile] */
        for (m = 0; m < 2; ++m) {
            const uint32_t *tile = tiles + m * product;
            for (k = 0; k < 8; ++k) {
                sums[m][k / 2][k % 2] = 0;
            }
            for (k = 0; k < 4 * steps; ++k) {
                for (p = 0; p < 2; ++p) {
                    sums[m][k % 4][p] = ratti_dual_multiply(*weights, tile[k / 4 * 2 + p], sums[m][k % 4][p]);
                }
                ++weights;
            }
        }
        for (k = 0; k < 8; ++k) {
            const int32_t first = sums[0][k / 2][k % 2], second = sums[1][k / 2][k % 2];
            sums[0][k / 2][k % 2] = (job->channels[o + k / 2].bias + first + second) >> 1;
            sums[1][k / 2][k % 2] = (job->channels[o + k / 2].bias + first - second) >> 1;
        }
        for (y = 0; y < 2; ++y) {
            const uint32_t *tile = tiles + (2 + y) * product;
            for (k = 0; k < 2 * steps; ++k) {
                const uint32_t low = ratti_even_bytes(*weights);
                const uint32_t high = ratti_odd_bytes(ratti_pair_subtract(*weights, low));
                for (p = 0; p < 2; ++p) {
                    int32_t(*pair)[2] = sums[y] + k % 2 * 2;
                    pair[0][p] = ratti_dual_multiply(low, tile[k / 2 * 2 + p], pair[0][p]);
                    pair[1][p] = ratti_dual_multiply(high, tile[k / 2 * 2 + p], pair[1][p]);
                }
                ++weights;
            }
            for (k = 0; k < 8; ++k) {
                job->out[2 * y + k % 2][o + k / 2] =
                    ratti_dsp_code(sums[y][k / 2][k % 2], job->channels[o + k / 2], s.out);
            }
        }
    }
}

RATTI_INLINE void ratti_conv_winograd(const int8_t *in, int8_t *out, const uint32_t *weights,
                                      const ratti_channel *channels, int8_t *scratch, int32_t row_begin,
                                      int32_t row_end, const ratti_conv s)
{
    const int32_t product = ratti_winograd_product(s), used = s.kernel_h * s.in_c;
    uint32_t *tiles = (uint32_t *)(void *)scratch;
    int8_t *row = (int8_t *)(tiles + 4 * product + 2 * ratti_winograd_steps(s) - used), *beyond = row + 6 * s.in_c;
    ratti_winograd_job job;
    int32_t oy, ox, y, p;
    job.steps_bytes = 8 * ratti_winograd_steps(s);
    job.product_bytes = 4 * product;
    job.channels = channels;
    job.end = channels + s.out_c;
    job.middle = 2 * s.out.zero + 1;
    job.rounding = s.out.rounding; /* RATTI_SINGLE is 0 */
    for (oy = row_begin; oy < row_end; oy += ratti_winograd_rows(s)) {
        const int32_t rows = row_end - oy < ratti_winograd_rows(s) ? 1 : ratti_winograd_rows(s);
        for (ox = 0; ox < s.out_w; ox += 4) {
            ratti_winograd_window(in, tiles, row, oy, ox, rows, s);
            for (y = 0; y < rows; ++y) {
                int8_t *pixel = out + ((oy + y) * s.out_w + ox) * s.out_c;
                for (p = 0; p < 4; ++p) {
                    job.out[p % 2 * 2 + p / 2] = ox + p < s.out_w ? pixel + p * s.out_c : beyond;
                }
#if RATTI_DSP_ASSEMBLY
                if (s.out.rounding != RATTI_GENERAL && s.out.low == -128 && s.out.high == 127) {
                    job.tiles = tiles + y * s.in_c - 2;
                    ratti_winograd_quads(&job, weights);
                    continue;
                }
#endif
                ratti_winograd_tiles(&job, tiles + y * s.in_c, weights, s);
            }
        }
    }
}
