#include "../kernels/support/compiler.h"

/* Logarithms of energies by a table of 32 segments; _log2.py is their definition. */
static const int16_t ratti_log2_table[33] = {
    0, 182, 358, 530, 696, 858, 1016, 1169, 1319, 1465, 1607, 1746, 1882, 2015, 2145, 2272, 2396,
    2518, 2637, 2754, 2869, 2982, 3092, 3200, 3307, 3412, 3514, 3615, 3715, 3812, 3908, 4003, 4096};

RATTI_INLINE int32_t ratti_bits(uint32_t x)
{
    int32_t n = 0;
    while (x) {
        x >>= 1;
        ++n;
    }
    return n;
}

/* log2 in steps of 1/256; of 0 it is 0. */
static RATTI_NOINLINE int32_t ratti_log2(uint64_t energy)
{
    const uint32_t high = (uint32_t)(energy >> 32);
    const int32_t bits = high ? 32 + ratti_bits(high) : ratti_bits((uint32_t)energy);
    const int32_t whole = bits ? bits - 1 : 0;
    const uint32_t mantissa = (uint32_t)(whole >= 16 ? energy >> (whole - 16) : energy << (16 - whole)) & 0xffffu;
    const int32_t segment = (int32_t)(mantissa >> 11), rest = (int32_t)(mantissa & 0x7ffu);
    const int32_t low = ratti_log2_table[segment];
    const int32_t next = ratti_log2_table[segment < 32 ? segment + 1 : 32];
    return (whole << 8) + ((low + (((next - low) * rest) >> 11)) >> 4);
}
