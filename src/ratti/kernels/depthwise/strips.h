#include "../support/dsp.h"
#include "geometry.h"

/* Depthwise convolution three by three with the dual 16-bit multiply, in assembly: one channel at a time, in strips of
   up to six output columns, so that each word of the input and each word of weights serves a whole strip.

   weights: [in_c][3][3]; multiplier and dilation are 1; stride_w is 1 or 2; rounding to the whole int8 range.
   channels: where rounding is double, `adjust` is one less than the shift, and no more than 21 (see conv/dsp.h).
   scratch: the strips of a channel, [strip][row] of ratti_strip_pitch int16, with borders.

   A channel is read wholly, all rows that row_begin to row_end need, before any of its outputs is stored: `out` may
   overlap `in` as `overlap` of the kernel says. */
#define RATTI_STRIP 6

RATTI_INLINE int32_t ratti_strip_pitch(ratti_depthwise s)
{
    return s.stride_w == 1 ? 8 : 14;
}

RATTI_INLINE int32_t ratti_strip_count(ratti_depthwise s)
{
    return (s.out_w + RATTI_STRIP - 1) / RATTI_STRIP;
}

/* One channel of one strip. The assembly knows the offsets from `multiplier`. */
typedef struct {
    int32_t shift, bias[RATTI_STRIP]; /* `shift` and, as `adjust`, what rounds and the zero point, for two roundings */
    int32_t multiplier, adjust, pixel_bytes, row_bytes, step_bytes;
    const int16_t *end;
    uint32_t weights[6]; /* of each kernel row the pairs 0 1 and 1 2 */
} ratti_strip_job;

#if defined(__ARM_FEATURE_DSP) && __ARM_ARCH_PROFILE == 'M'
/* r0 input, r1 job, r2 output, r3-r8 sums; r8 is the bias where there are fewer than six; r9, r10, lr and then r9 again
   hold words of the input, r11 and r12 the two pairs of weights. a to f: what the sums start from. */
#define RATTI_STRIP_LOAD(pitch, row) \
    ".set ratti_row, " row " * " pitch "\n" \
    "ldr r9, [r0, #ratti_row]\n ldr r10, [r0, #ratti_row + 4]\n" \
    ".if ratti_outputs > 2 || " pitch " > 16 && ratti_outputs > 1\n ldr.w lr, [r0, #ratti_row + 8]\n .endif\n" \
    "ldr r11, [r1, #24 + 8 * " row "]\n ldr r12, [r1, #28 + 8 * " row "]\n"
#define RATTI_STRIP_ROW_1(row, a, b, c, d, e, f) \
    RATTI_STRIP_LOAD("16", row) \
    "smlad r3, r9, r11, " a "\n smlabt r3, r10, r12, r3\n" \
    ".if ratti_outputs > 1\n smlatb r4, r9, r11, " b "\n smlad r4, r10, r12, r4\n .endif\n" \
    ".if ratti_outputs > 4\n ldr r9, [r0, #ratti_row + 12]\n .endif\n" \
    ".if ratti_outputs > 2\n smlad r5, r10, r11, " c "\n smlabt r5, lr, r12, r5\n .endif\n" \
    ".if ratti_outputs > 3\n smlatb r6, r10, r11, " d "\n smlad r6, lr, r12, r6\n .endif\n" \
    ".if ratti_outputs > 4\n smlad r7, lr, r11, " e "\n smlabt r7, r9, r12, r7\n .endif\n" \
    ".if ratti_outputs > 5\n smlatb r8, lr, r11, " f "\n smlad r8, r9, r12, r8\n .endif\n"
#define RATTI_STRIP_ROW_2(row, a, b, c, d, e, f) \
    RATTI_STRIP_LOAD("28", row) \
    "smlad r3, r9, r11, " a "\n smlabt r3, r10, r12, r3\n" \
    ".if ratti_outputs > 1\n smlad r4, r10, r11, " b "\n smlabt r4, lr, r12, r4\n .endif\n" \
    ".if ratti_outputs > 2\n ldr r9, [r0, #ratti_row + 12]\n .endif\n" \
    ".if ratti_outputs > 3\n ldr r10, [r0, #ratti_row + 16]\n .endif\n" \
    ".if ratti_outputs > 2\n smlad r5, lr, r11, " c "\n smlabt r5, r9, r12, r5\n .endif\n" \
    ".if ratti_outputs > 3\n smlad r6, r9, r11, " d "\n smlabt r6, r10, r12, r6\n .endif\n" \
    ".if ratti_outputs > 4\n ldr.w lr, [r0, #ratti_row + 20]\n .endif\n" \
    ".if ratti_outputs > 5\n ldr r9, [r0, #ratti_row + 24]\n .endif\n" \
    ".if ratti_outputs > 4\n smlad r7, r10, r11, " e "\n smlabt r7, lr, r12, r7\n .endif\n" \
    ".if ratti_outputs > 5\n smlad r8, lr, r11, " f "\n smlabt r8, r9, r12, r8\n .endif\n"
#define RATTI_STRIP_CODE_SINGLE(outputs, sum) \
    ".if ratti_outputs > " outputs "\n smmla " sum ", " sum ", r9, r10\n ssat " sum ", #8, " sum "\n .endif\n"
#define RATTI_STRIP_CODE_DOUBLE(outputs, sum) \
    ".if ratti_outputs > " outputs "\n lsl " sum ", " sum ", #1\n smmlar lr, " sum ", r9, r10\n" \
    "add lr, lr, " sum ", asr #31\n asr " sum ", lr, r11\n ssat " sum ", #8, " sum ", asr #1\n .endif\n"
#define RATTI_STRIP_CODES(code) \
    code("0", "r3") code("1", "r4") code("2", "r5") code("3", "r6") code("4", "r7") code("5", "r8")
#define RATTI_STRIP_CODES_SINGLE "ldm r1, {r9, r10, r11, r12}\n" RATTI_STRIP_CODES(RATTI_STRIP_CODE_SINGLE)
#define RATTI_STRIP_CODES_DOUBLE \
    "ldrd r9, r10, [r1]\n ldr r11, [r1, #-28]\n" RATTI_STRIP_CODES(RATTI_STRIP_CODE_DOUBLE) "ldrd r11, r12, [r1, #8]\n"
#define RATTI_STRIP_BODY(outputs, codes, start, row, a, b, c, d, e, f) \
    ".set ratti_outputs, " outputs "\n" \
    "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n adds r1, #28\n ldr r8, [r1, #-4]\n" \
    "1:\n" start row("0", a, b, c, d, e, f) \
    row("1", "r3", "r4", "r5", "r6", "r7", "r8") row("2", "r3", "r4", "r5", "r6", "r7", "r8") \
    codes "strb r3, [r2]\n" \
    ".if ratti_outputs > 1\n strb r4, [r2, r11]\n .endif\n" \
    ".if ratti_outputs > 2\n strb r5, [r2, r11, lsl #1]\n .endif\n" \
    ".if ratti_outputs > 3\n add lr, r2, r11, lsl #1\n strb r6, [lr, r11]\n .endif\n" \
    ".if ratti_outputs > 4\n strb r7, [lr, r11, lsl #1]\n .endif\n" \
    ".if ratti_outputs > 5\n add lr, lr, r11, lsl #1\n strb r8, [lr, r11]\n .endif\n" \
    "ldrd r9, r10, [r1, #16]\n add r2, r2, r12\n add r0, r0, r9\n cmp r0, r10\n bne 1b\n" \
    "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}\n"
#define RATTI_STRIP_SIX(outputs, codes, row) \
    RATTI_STRIP_BODY(outputs, codes, "ldmdb r1, {r3, r4, r5, r6, r7, r8}\n", row, "r3", "r4", "r5", "r6", "r7", "r8")
#define RATTI_STRIP_LESS(outputs, codes, row) \
    RATTI_STRIP_BODY(outputs, codes, "", row, "r8", "r8", "r8", "r8", "r8", "r8")
#define RATTI_STRIP_FUNCTION(name, body) \
    static __attribute__((naked, noinline, unused)) void name( \
        __attribute__((unused)) const int16_t *in, __attribute__((unused)) const ratti_strip_job *job, \
        __attribute__((unused)) int8_t *out) \
    { \
        __asm__ volatile(body); \
    }
#define RATTI_STRIP_FUNCTIONS(rounding, stride) \
    RATTI_STRIP_FUNCTION(ratti_strip_1_##rounding##_##stride, \
                         RATTI_STRIP_LESS("1", RATTI_STRIP_CODES_##rounding, RATTI_STRIP_ROW_##stride)) \
    RATTI_STRIP_FUNCTION(ratti_strip_2_##rounding##_##stride, \
                         RATTI_STRIP_LESS("2", RATTI_STRIP_CODES_##rounding, RATTI_STRIP_ROW_##stride)) \
    RATTI_STRIP_FUNCTION(ratti_strip_3_##rounding##_##stride, \
                         RATTI_STRIP_LESS("3", RATTI_STRIP_CODES_##rounding, RATTI_STRIP_ROW_##stride)) \
    RATTI_STRIP_FUNCTION(ratti_strip_4_##rounding##_##stride, \
                         RATTI_STRIP_LESS("4", RATTI_STRIP_CODES_##rounding, RATTI_STRIP_ROW_##stride)) \
    RATTI_STRIP_FUNCTION(ratti_strip_5_##rounding##_##stride, \
                         RATTI_STRIP_LESS("5", RATTI_STRIP_CODES_##rounding, RATTI_STRIP_ROW_##stride)) \
    RATTI_STRIP_FUNCTION(ratti_strip_6_##rounding##_##stride, \
                         RATTI_STRIP_SIX("6", RATTI_STRIP_CODES_##rounding, RATTI_STRIP_ROW_##stride))
RATTI_STRIP_FUNCTIONS(SINGLE, 1)
RATTI_STRIP_FUNCTIONS(SINGLE, 2)
RATTI_STRIP_FUNCTIONS(DOUBLE, 1)
RATTI_STRIP_FUNCTIONS(DOUBLE, 2)

/* Where `outputs` is constant one of the functions remains. */
#define RATTI_STRIP_CALL(rounding, stride) \
    switch (outputs) { \
    case 1: ratti_strip_1_##rounding##_##stride(in, job, out); break; \
    case 2: ratti_strip_2_##rounding##_##stride(in, job, out); break; \
    case 3: ratti_strip_3_##rounding##_##stride(in, job, out); break; \
    case 4: ratti_strip_4_##rounding##_##stride(in, job, out); break; \
    case 5: ratti_strip_5_##rounding##_##stride(in, job, out); break; \
    default: ratti_strip_6_##rounding##_##stride(in, job, out); \
    }

RATTI_INLINE void ratti_strip(const int16_t *in, const ratti_strip_job *job, int8_t *out, const int32_t outputs,
                              const ratti_depthwise s)
{
    if (s.out.rounding == RATTI_SINGLE) {
        if (s.stride_w == 1) {
            RATTI_STRIP_CALL(SINGLE, 1)
        } else {
            RATTI_STRIP_CALL(SINGLE, 2)
        }
    } else if (s.stride_w == 1) {
        RATTI_STRIP_CALL(DOUBLE, 1)
    } else {
        RATTI_STRIP_CALL(DOUBLE, 2)
    }
}
#else
RATTI_INLINE void ratti_strip(const int16_t *in, const ratti_strip_job *job, int8_t *out, const int32_t outputs,
                              const ratti_depthwise s)
{
    int32_t x, k;
    for (; in != job->end; in += job->step_bytes / 2) {
        for (x = 0; x < outputs; ++x) {
            int32_t acc = job->bias[0];
            for (k = 0; k < 3; ++k) {
                const int16_t *window = in + k * ratti_strip_pitch(s) + x * s.stride_w;
                acc = ratti_dual_multiply(job->weights[2 * k], ratti_load_word(window), acc);
                acc += (int16_t)(uint16_t)(job->weights[2 * k + 1] >> 16) * window[2];
            }
            out[x * job->pixel_bytes] = ratti_output_code(
                acc, job->multiplier, s.out.rounding == RATTI_SINGLE ? job->adjust : job->shift + 1, s.out);
        }
        out += job->row_bytes;
    }
}
#endif

/* `columns`, a constant up to 14, of `rows` rows of one channel. Loads that follow one another cost one cycle each. */
RATTI_INLINE void ratti_strip_copy(const int8_t *source, int16_t *strip, int32_t rows, const int32_t columns,
                                   const ratti_depthwise s)
{
    int32_t y, x;
    RATTI_UNROLL_2
    for (y = 0; y < rows; ++y) {
        int16_t codes[14];
        RATTI_UNROLL
        for (x = 0; x < columns; ++x) {
            codes[x] = source[x * s.in_c];
        }
        RATTI_UNROLL
        for (x = 0; x < columns; ++x) {
            strip[x] = codes[x];
        }
        strip += ratti_strip_pitch(s);
        source += s.in_w * s.in_c;
    }
}

/* The input of `outputs` columns from `column` on, inside its borders. The usual cases have constant bounds. */
RATTI_INLINE void ratti_strip_gather(const int8_t *in, int16_t *strip, int32_t top, int32_t rows, int32_t column,
                                     const int32_t outputs, const ratti_depthwise s)
{
    const int32_t left = column * s.stride_w - s.pad_left, columns = (outputs - 1) * s.stride_w + 3;
    const int32_t first = top < 0 ? -top : 0, last = top + rows > s.in_h ? s.in_h - top : rows;
    const int32_t from = left < 0 ? -left : 0, to = left + columns > s.in_w ? s.in_w - left : columns;
    const int8_t *source = in + ((top + first) * s.in_w + left + from) * s.in_c;
    int16_t *place = strip + first * ratti_strip_pitch(s) + from;
    int32_t x;
    if (to - from == columns) {
        ratti_strip_copy(source, place, last - first, columns, s);
    } else if (to - from == columns - 1) {
        ratti_strip_copy(source, place, last - first, columns - 1, s);
    } else if (to - from == columns - 2) {
        ratti_strip_copy(source, place, last - first, columns - 2, s);
    } else {
        RATTI_ROLLED
        for (x = 0; x < to - from; ++x) {
            ratti_strip_copy(source + x * s.in_c, place + x, last - first, 1, s);
        }
    }
}

RATTI_INLINE void ratti_depthwise_strips(const int8_t *in, int8_t *out, const int8_t *weights,
                                         const ratti_channel *channels, int8_t *scratch, int32_t row_begin,
                                         int32_t row_end, const ratti_depthwise s)
{
    const int32_t rows = (row_end - row_begin - 1) * s.stride_h + 3, top = row_begin * s.stride_h - s.pad_top;
    const int32_t pitch = ratti_strip_pitch(s), count = ratti_strip_count(s);
    const int32_t least = s.out_w / count, longer = s.out_w % count; /* strips that have one column more come first */
    int16_t *strips = (int16_t *)(void *)scratch;
    ratti_strip_job job;
    int32_t c, k;
    RATTI_UNROLL_4
    for (k = 0; k < count * rows * pitch; k += 2) {
        ratti_store_word(strips + k, ((uint32_t)s.in_zero & 0xffffu) * 0x10001u);
    }
    job.pixel_bytes = s.in_c;
    job.row_bytes = s.out_w * s.in_c;
    job.step_bytes = 2 * s.stride_h * pitch;
    out += row_begin * s.out_w * s.in_c;
    for (c = 0; c < s.in_c; ++c) {
        int16_t *strip = strips;
        int32_t column = 0;
        for (k = 0; k < RATTI_STRIP; ++k) {
            job.bias[k] = channels[c].bias;
        }
        job.multiplier = channels[c].multiplier;
        job.shift = channels[c].adjust;
        job.adjust = s.out.rounding == RATTI_SINGLE ? job.shift : (2 * s.out.zero + 1) * (1 << (job.shift & 31));
        for (k = 0; k < 3; ++k) {
            job.weights[2 * k] = ratti_pair(weights[3 * k], weights[3 * k + 1]);
            job.weights[2 * k + 1] = ratti_pair(weights[3 * k + 1], weights[3 * k + 2]);
        }
        weights += 9;
        RATTI_ROLLED
        for (k = 0; k < count; ++k) {
            if (k < longer) {
                ratti_strip_gather(in + c, strip, top, rows, column, least + 1, s);
            } else {
                ratti_strip_gather(in + c, strip, top, rows, column, least, s);
            }
            column += k < longer ? least + 1 : least;
            strip += rows * pitch;
        }
        strip = strips;
        column = 0;
        RATTI_ROLLED
        for (k = 0; k < count; ++k) {
            int8_t *pixel = out + column * s.in_c + c;
            job.end = strip + (row_end - row_begin) * s.stride_h * pitch;
            if (k < longer) {
                ratti_strip(strip, &job, pixel, least + 1, s);
            } else {
                ratti_strip(strip, &job, pixel, least, s);
            }
            column += k < longer ? least + 1 : least;
            strip += rows * pitch;
        }
    }
}
