#include "core.h"

/* The Armv7E-M instructions that the dsp kernels are built on; plain C elsewhere, so that the same file runs anywhere.
   Words are little-endian pairs of int16. */
RATTI_INLINE uint32_t ratti_load_word(const void *p)
{
    uint32_t word;
    ratti_copy(&word, p, 4);
    return word;
}

RATTI_INLINE void ratti_store_word(void *p, uint32_t word)
{
    ratti_copy(p, &word, 4);
}

RATTI_INLINE uint32_t ratti_pair(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* acc + a.low * b.low + a.high * b.high, modulo 2^32 */
RATTI_INLINE int32_t ratti_dual_multiply(uint32_t a, uint32_t b, int32_t acc)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t y;
    __asm__("smlad %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(acc));
    return y;
#else
    const int32_t low = (int16_t)(uint16_t)a * (int16_t)(uint16_t)b;
    const int32_t high = (int16_t)(uint16_t)(a >> 16) * (int16_t)(uint16_t)(b >> 16);
    return (int32_t)((uint32_t)acc + (uint32_t)low + (uint32_t)high);
#endif
}

/* Bytes 0 and 2, sign-extended to a pair. */
RATTI_INLINE uint32_t ratti_even_bytes(uint32_t bytes)
{
#if defined(__ARM_FEATURE_DSP)
    uint32_t y;
    __asm__("sxtb16 %0, %1" : "=r"(y) : "r"(bytes));
    return y;
#else
    const int32_t low = (int8_t)(uint8_t)bytes, high = (int8_t)(uint8_t)(bytes >> 16);
    return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
#endif
}

/* Bytes 1 and 3, sign-extended to a pair. */
RATTI_INLINE uint32_t ratti_odd_bytes(uint32_t bytes)
{
#if defined(__ARM_FEATURE_DSP)
    uint32_t y;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(y) : "r"(bytes));
    return y;
#else
    return ratti_even_bytes(bytes >> 8);
#endif
}

/* Sums and differences of pairs, lane by lane. */
RATTI_INLINE uint32_t ratti_pair_add(uint32_t a, uint32_t b)
{
#if defined(__ARM_FEATURE_DSP)
    uint32_t y;
    __asm__("sadd16 %0, %1, %2" : "=r"(y) : "r"(a), "r"(b) : "cc");
    return y;
#else
    return ((a + b) & 0xffffu) | ((a & 0xffff0000u) + (b & 0xffff0000u));
#endif
}

RATTI_INLINE uint32_t ratti_pair_subtract(uint32_t a, uint32_t b)
{
#if defined(__ARM_FEATURE_DSP)
    uint32_t y;
    __asm__("ssub16 %0, %1, %2" : "=r"(y) : "r"(a), "r"(b) : "cc");
    return y;
#else
    return ((a - b) & 0xffffu) | ((a & 0xffff0000u) - (b & 0xffff0000u));
#endif
}

/* sum + bytes 0 and 2, and sum + bytes 1 and 3, lane by lane. */
RATTI_INLINE uint32_t ratti_add_even_bytes(uint32_t sum, uint32_t bytes)
{
#if defined(__ARM_FEATURE_DSP)
    uint32_t y;
    __asm__("sxtab16 %0, %1, %2" : "=r"(y) : "r"(sum), "r"(bytes));
    return y;
#else
    return ratti_pair_add(sum, ratti_even_bytes(bytes));
#endif
}

RATTI_INLINE uint32_t ratti_add_odd_bytes(uint32_t sum, uint32_t bytes)
{
#if defined(__ARM_FEATURE_DSP)
    uint32_t y;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(y) : "r"(sum), "r"(bytes));
    return y;
#else
    return ratti_pair_add(sum, ratti_odd_bytes(bytes));
#endif
}
