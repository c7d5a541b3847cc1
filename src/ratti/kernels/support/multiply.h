#include "core.h"

/* The product of two int8 codes. Cores without a multiplier look up quarter squares:
   a * b = floor((a + b)^2 / 4) - floor((a - b)^2 / 4), exact because a + b and a - b have the same parity. */
#if defined(__riscv) && !defined(__riscv_mul)
#define RATTI_SQUARE(n) ((n) * (n) / 4)
#define RATTI_SQUARES_4(n) RATTI_SQUARE(n), RATTI_SQUARE((n) + 1), RATTI_SQUARE((n) + 2), RATTI_SQUARE((n) + 3)
#define RATTI_SQUARES_16(n) \
    RATTI_SQUARES_4(n), RATTI_SQUARES_4((n) + 4), RATTI_SQUARES_4((n) + 8), RATTI_SQUARES_4((n) + 12)
#define RATTI_SQUARES_64(n) \
    RATTI_SQUARES_16(n), RATTI_SQUARES_16((n) + 16), RATTI_SQUARES_16((n) + 32), RATTI_SQUARES_16((n) + 48)
#define RATTI_SQUARES_256(n) \
    RATTI_SQUARES_64(n), RATTI_SQUARES_64((n) + 64), RATTI_SQUARES_64((n) + 128), RATTI_SQUARES_64((n) + 192)

static const uint16_t ratti_quarter_squares[512] = {RATTI_SQUARES_256(-256), RATTI_SQUARES_256(0)};

RATTI_INLINE int32_t ratti_multiply(int32_t a, int32_t b)
{
    const uint16_t *zero = ratti_quarter_squares + 256;
    return (int32_t)zero[a + b] - (int32_t)zero[a - b];
}
#else
RATTI_INLINE int32_t ratti_multiply(int32_t a, int32_t b)
{
    return a * b;
}
#endif

/* acc + a * b. On RISC-V product and sum are kept together: compilers that move all products of a tile before its sums
   run out of registers. */
RATTI_INLINE int32_t ratti_multiply_add(int32_t acc, int32_t a, int32_t b)
{
#if defined(__riscv_mul)
    int32_t product;
    __asm__("mul %1, %2, %3\n\tadd %0, %0, %1" : "+r"(acc), "=&r"(product) : "r"(a), "r"(b));
    return acc;
#else
    return acc + ratti_multiply(a, b);
#endif
}
