/* How far below its value at the start of a block the stack pointer goes inside it: what a function reserves counts as
   used, written or not, because an interrupt would write there.

   Known: PUSH, STMDB, VPUSH, STR with write-back and SUB of a constant (Thumb); ADDI with a constant (RISC-V). Frames
   of a size that a register holds show by what is written in them, and at the start of the next block. */
#include <stdint.h>

static uint32_t count_bits(uint32_t v) { return (uint32_t)__builtin_popcount(v); }

/* The constant of a 32-bit Thumb instruction (Armv7-M, DDI0403, A5.3.2). */
static uint32_t thumb_constant(uint32_t first, uint32_t second)
{
    const uint32_t field = (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | (second & 0xFF), low = second & 0xFF;
    switch (field >> 8) {
    case 0: return low;
    case 1: return low << 16 | low;
    case 2: return low << 24 | low << 8;
    case 3: return low * 0x01010101u;
    default: {
        const uint32_t value = 0x80 | (low & 0x7F), turn = field >> 7;
        return value >> turn | value << (32 - turn);
    }
    }
}

static int32_t thumb_reach(uint32_t first, uint32_t second)
{
    if ((first & 0xFE00) == 0xB400) /* PUSH */
        return (int32_t)(4 * count_bits(first & 0x1FF));
    if ((first & 0xFE00) == 0xBC00) /* POP */
        return -(int32_t)(4 * count_bits(first & 0x1FF));
    if ((first & 0xFF80) == 0xB080) /* SUB SP, #constant */
        return (int32_t)(4 * (first & 0x7F));
    if ((first & 0xFF80) == 0xB000) /* ADD SP, #constant */
        return -(int32_t)(4 * (first & 0x7F));
    if (first == 0xE92D) /* STMDB SP! */
        return (int32_t)(4 * count_bits(second));
    if (first == 0xED2D) /* VPUSH */
        return (int32_t)(4 * (second & 0xFF));
    if (first == 0xF84D && (second & 0xF00) == 0xD00) /* STR Rt, [SP, #-constant]! */
        return (int32_t)(second & 0xFF);
    if ((first & 0xFBFF) == 0xF1AD && (second & 0x8F00) == 0x0D00) /* SUB.W SP, SP, #constant */
        return (int32_t)thumb_constant(first, second);
    if ((first & 0xFBFF) == 0xF2AD && (second & 0x8F00) == 0x0D00) /* SUBW SP, SP, #constant */
        return (int32_t)((first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | (second & 0xFF));
    return 0;
}

static int32_t riscv_reach(uint32_t word)
{
    if ((word & 3) == 3) /* ADDI sp, sp, constant */
        return (word & 0xFFFFF) == 0x10113 ? -((int32_t)word >> 20) : 0;
    const int32_t sign = word & 0x1000 ? -1 : 0;
    if ((word & 0xEF83) == 0x6101) /* C.ADDI16SP */
        return -(int32_t)((uint32_t)sign << 9 | (word >> 3 & 3) << 7 | (word >> 5 & 1) << 6 | (word >> 2 & 1) << 5 |
                          (word >> 6 & 1) << 4);
    if ((word & 0xEF83) == 0x0101) /* C.ADDI sp */
        return -(int32_t)((uint32_t)sign << 5 | (word >> 2 & 31));
    return 0;
}

static uint32_t stack_reach(const uint8_t *code, uint32_t bytes, int is_thumb)
{
    int32_t depth = 0, deepest = 0;
    for (uint32_t at = 0; at < bytes;) {
        const uint32_t first = code[at] | (uint32_t)code[at + 1] << 8;
        const int is_long = (is_thumb ? first >= 0xE800 : (first & 3) == 3) && at + 4 <= bytes;
        const uint32_t second = is_long ? code[at + 2] | (uint32_t)code[at + 3] << 8 : 0;
        if (!is_thumb && (first & 0xFDF) == 0x117) { /* AUIPC or LUI of sp: the ADDI behind it makes a new stack */
            at += 8;
            continue;
        }
        depth += is_thumb ? thumb_reach(first, second) : riscv_reach(first | second << 16);
        if (depth > deepest)
            deepest = depth;
        at += is_long ? 4 : 2;
    }
    return (uint32_t)deepest;
}
