/* The device's side of the protocol. No heap; C99.

   A frame is the COBS encoding (Cheshire and Baker 1999) of

       kind, sequence, body..., checksum (CRC-16/CCITT-FALSE, low byte first)

   and a zero byte, so that a receiver that lost its place finds it at the next zero. Numbers are little-endian. A frame
   that is damaged is dropped; whoever waits for the answer asks again with the same sequence number. Then the answer is
   sent again and nothing is done twice: a model that ran has overwritten its inputs.

       request                             answer
       H                                   h version:1 counts:1 inputs:1 outputs:1 body:2 arena:4 clock:4 model:8
       W slot:1 offset:4 data...           w                       writes into an input
       X                                   x count:4 stack:4       runs; stack: from this function down (at least
                                                                   MARGIN), 0 where its place is not known
       R slot:1 offset:4 bytes:1           r data...               reads from an output
                                           e code:1                the request was refused
*/
#include "ratti_link.h"

enum { VERSION = 1, BODY = 192, FRAME = BODY + 4, PAINT = 16384, PAINTED = 0xA5, MARGIN = 160 };
enum { UNKNOWN = 1, LENGTH = 2, OUTSIDE = 3 };

#if defined(__GNUC__)
#define WEAK __attribute__((weak))
#define NOINLINE __attribute__((noinline))
#else
#define WEAK
#define NOINLINE
#endif

#if defined(__ARM_ARCH_7M__) || defined(__ARM_ARCH_7EM__) || defined(__ARM_ARCH_8M_MAIN__) || \
    defined(__ARM_ARCH_8_1M_MAIN__)
#define DWT_CTRL (*(volatile uint32_t *)0xE0001000u)   /* Armv7-M C1.8.7 */
#define DWT_CYCCNT (*(volatile uint32_t *)0xE0001004u) /* C1.8.8 */
#define DEMCR (*(volatile uint32_t *)0xE000EDFCu)      /* C1.6.5 */
WEAK int ratti_board_counts(void)
{
    DEMCR |= 1u << 24; /* the trace unit is on */
    DWT_CTRL |= 1u;    /* and its counter runs */
    return RATTI_COUNTS_CYCLES;
}
WEAK uint32_t ratti_board_count(void) { return DWT_CYCCNT; }
#else
WEAK int ratti_board_counts(void) { return RATTI_COUNTS_NOTHING; }
WEAK uint32_t ratti_board_count(void) { return 0; }
#endif
WEAK uint32_t ratti_board_clock_hz(void) { return 0; }
WEAK int8_t *ratti_board_stack(void) { return 0; }

static uint8_t received[FRAME + 2], answer[FRAME];
static uint32_t received_bytes, answer_bytes;
static uint8_t too_long;

static uint16_t checksum(const uint8_t *bytes, uint32_t count)
{
    uint32_t crc = 0xFFFF, i, k;
    for (i = 0; i < count; ++i) {
        crc ^= (uint32_t)bytes[i] << 8;
        for (k = 0; k < 8; ++k)
            crc = crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1;
    }
    return (uint16_t)crc;
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put(uint32_t value, int bytes)
{
    for (; bytes > 0; --bytes, value >>= 8)
        answer[answer_bytes++] = (uint8_t)value;
}

static void send(void)
{
    uint32_t at = 0, end;
    for (;;) {
        for (end = at; end < answer_bytes && answer[end] && end - at < 254; ++end)
            ;
        ratti_board_write((uint8_t)(end - at + 1));
        for (; at < end; ++at)
            ratti_board_write(answer[at]);
        if (end == answer_bytes)
            break;
        at += answer[end] == 0; /* frames are shorter than a run of 254, so that it is always a zero */
    }
    ratti_board_write(0);
}

/* In place. 0 where it is no encoding. */
static uint32_t decode(uint8_t *bytes, uint32_t count)
{
    uint32_t from = 0, to = 0, run;
    while (from < count) {
        run = bytes[from++];
        if (run - 1 > count - from)
            return 0;
        for (; run > 1; --run)
            bytes[to++] = bytes[from++];
        if (from < count)
            bytes[to++] = 0;
    }
    return to;
}

/* Runs the model with the stack below painted. How deep the paint is gone; 0 where the stack's place is not known. */
static NOINLINE uint32_t run_painted(const ratti_link_model *model, int8_t *arena, uint32_t *count)
{
    volatile int8_t here = 0;
    int8_t *const top = (int8_t *)((uintptr_t)&here - MARGIN), *low = ratti_board_stack();
    volatile int8_t *at;
    uint32_t start;
    if (low && (uintptr_t)top > (uintptr_t)low) {
        if ((uintptr_t)top - (uintptr_t)low > PAINT)
            low = (int8_t *)((uintptr_t)top - PAINT);
        for (at = low; (uintptr_t)at < (uintptr_t)top; ++at)
            *at = (int8_t)PAINTED;
    }
    start = ratti_board_count();
    model->run(arena);
    *count = ratti_board_count() - start;
    if (!low || (uintptr_t)top <= (uintptr_t)low)
        return 0;
    for (at = low; (uintptr_t)at < (uintptr_t)top && *at == (int8_t)PAINTED; ++at)
        ;
    return (uint32_t)((uintptr_t)&here - (uintptr_t)at);
}

/* The place in the arena of `bytes` from `offset` of a slot, or 0. */
static int8_t *place(const ratti_link_model *model, int8_t *arena, uint32_t first, uint32_t slots, const uint8_t *body,
                     uint32_t bytes)
{
    const uint32_t offset = get32(body + 1);
    const ratti_link_slot *slot = model->slots + first + body[0];
    if (body[0] >= slots || offset > slot->bytes || bytes > slot->bytes - offset)
        return 0;
    return arena + slot->offset + offset;
}

static void refuse(int code)
{
    answer[0] = 'e';
    answer_bytes = 2;
    put((uint32_t)code, 1);
}

static void act(const ratti_link_model *model, int8_t *arena, const uint8_t *body, uint32_t bytes)
{
    uint32_t k, count = 0, stack;
    int8_t *at;
    switch (received[0]) {
    case 'H':
        put(VERSION, 1), put((uint32_t)ratti_board_counts(), 1), put(model->inputs, 1), put(model->outputs, 1);
        put(BODY, 2), put(model->arena_bytes, 4), put(ratti_board_clock_hz(), 4);
        put(model->model[0], 4), put(model->model[1], 4);
        break;
    case 'W':
        if (bytes < 5) {
            refuse(LENGTH);
        } else if (!(at = place(model, arena, 0, model->inputs, body, bytes - 5))) {
            refuse(OUTSIDE);
        } else {
            for (k = 5; k < bytes; ++k)
                *at++ = (int8_t)body[k];
        }
        break;
    case 'X':
        stack = run_painted(model, arena, &count);
        put(count, 4), put(stack, 4);
        break;
    case 'R':
        if (bytes != 6 || body[5] > BODY) {
            refuse(LENGTH);
        } else if (!(at = place(model, arena, model->inputs, model->outputs, body, body[5]))) {
            refuse(OUTSIDE);
        } else {
            for (k = body[5]; k > 0; --k)
                put((uint8_t)*at++, 1);
        }
        break;
    default:
        refuse(UNKNOWN);
    }
}

void ratti_link_poll(const ratti_link_model *model, int8_t *arena)
{
    const int byte = ratti_board_read();
    uint32_t bytes;
    if (byte < 0)
        return;
    if (byte != 0) {
        if (received_bytes < sizeof received)
            received[received_bytes++] = (uint8_t)byte;
        else
            too_long = 1;
        return;
    }
    bytes = too_long ? 0 : decode(received, received_bytes);
    received_bytes = 0, too_long = 0;
    if (bytes < 4 || checksum(received, bytes - 2) != (received[bytes - 2] | received[bytes - 1] << 8))
        return;
    if (!answer_bytes || received[1] != answer[1] || received[0] == 'H') {
        answer[0] = (uint8_t)(received[0] | 0x20), answer[1] = received[1], answer_bytes = 2;
        act(model, arena, received + 2, bytes - 4);
        put(checksum(answer, answer_bytes), 2);
    }
    send();
}
