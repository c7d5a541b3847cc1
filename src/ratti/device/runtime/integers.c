/* Integer operations that a core lacks and the compiler calls by name: 64-bit shifts, products and quotients, leading
   zeros, and 32-bit division where there is no divide instruction. Written in operations that no core lacks, so that nothing here
   calls itself. Products are in arithmetic_arm.S and multiply_riscv.S. */
#include <stdint.h>

#ifdef __ARM_EABI__
#define ALIAS(of) __attribute__((alias(#of)))
#endif

typedef union {
    uint64_t all;
    struct {
        uint32_t low, high;
    } half;
} wide;

uint64_t __ashldi3(uint64_t value, int bits)
{
    wide v = {value};
    if (bits >= 32) {
        v.half.high = v.half.low << (bits - 32);
        v.half.low = 0;
    } else if (bits) {
        v.half.high = (v.half.high << bits) | (v.half.low >> (32 - bits));
        v.half.low <<= bits;
    }
    return v.all;
}

uint64_t __lshrdi3(uint64_t value, int bits)
{
    wide v = {value};
    if (bits >= 32) {
        v.half.low = v.half.high >> (bits - 32);
        v.half.high = 0;
    } else if (bits) {
        v.half.low = (v.half.low >> bits) | (v.half.high << (32 - bits));
        v.half.high >>= bits;
    }
    return v.all;
}

int64_t __ashrdi3(int64_t value, int bits)
{
    wide v = {(uint64_t)value};
    const int32_t high = (int32_t)v.half.high;
    if (bits >= 32) {
        v.half.low = (uint32_t)(high >> (bits - 32));
        v.half.high = (uint32_t)(high >> 31);
    } else if (bits) {
        v.half.low = (v.half.low >> bits) | (v.half.high << (32 - bits));
        v.half.high = (uint32_t)(high >> bits);
    }
    return (int64_t)v.all;
}

/* Leading zeros, by halves; undefined for 0. */
int __clzsi2(uint32_t x)
{
    int n = 0, width = 16;
    for (; width; width >>= 1) {
        if (!(x >> (32 - width))) {
            n += width;
            x <<= width;
        }
    }
    return n;
}

/* Quotient; the remainder through the pointer. Division by zero gives all ones and the dividend, as RISC-V defines. */
uint64_t __udivmoddi4(uint64_t n, uint64_t d, uint64_t *remainder)
{
    uint64_t q = 0, r = 0;
    for (int bit = 0; bit < 64; bit++) {
        r = (r << 1) | (n >> 63);
        n <<= 1;
        q <<= 1;
        if (r >= d) {
            r -= d;
            q |= 1;
        }
    }
    *remainder = r;
    return q;
}

uint64_t __udivdi3(uint64_t n, uint64_t d)
{
    uint64_t r;
    return __udivmoddi4(n, d, &r);
}

uint64_t __umoddi3(uint64_t n, uint64_t d)
{
    uint64_t r;
    __udivmoddi4(n, d, &r);
    return r;
}

static uint64_t magnitude64(int64_t v) { return v < 0 ? 0 - (uint64_t)v : (uint64_t)v; }

int64_t __divmoddi4(int64_t n, int64_t d, int64_t *remainder)
{
    uint64_t r;
    const uint64_t q = __udivmoddi4(magnitude64(n), magnitude64(d), &r);
    *remainder = (int64_t)(n < 0 ? 0 - r : r);
    return (int64_t)((n < 0) != (d < 0) ? 0 - q : q);
}

int64_t __divdi3(int64_t n, int64_t d)
{
    int64_t r;
    return __divmoddi4(n, d, &r);
}

int64_t __moddi3(int64_t n, int64_t d)
{
    int64_t r;
    __divmoddi4(n, d, &r);
    return r;
}

#if defined(__ARM_ARCH_6M__) || (defined(__riscv) && !defined(__riscv_div))
#define NO_DIVIDE 1
#endif

#ifdef NO_DIVIDE
/* Quotient in the low word, remainder in the high word: the registers in which the Arm ABI wants the pair. */
static inline uint64_t divide(uint32_t n, uint32_t d)
{
    uint32_t q = 0, r = 0;
    for (int bit = 0; bit < 32; bit++) {
        r = (r << 1) | (n >> 31);
        n <<= 1;
        q <<= 1;
        if (r >= d) {
            r -= d;
            q |= 1;
        }
    }
    return (wide){.half = {q, r}}.all;
}

static inline uint64_t divide_signed(int32_t n, int32_t d)
{
    wide v = {divide(n < 0 ? 0 - (uint32_t)n : (uint32_t)n, d < 0 ? 0 - (uint32_t)d : (uint32_t)d)};
    if ((n < 0) != (d < 0))
        v.half.low = 0 - v.half.low;
    if (n < 0)
        v.half.high = 0 - v.half.high;
    return v.all;
}

uint64_t __ratti_udivmod(uint32_t n, uint32_t d) { return divide(n, d); }
uint64_t __ratti_divmod(int32_t n, int32_t d) { return divide_signed(n, d); }
uint32_t __udivsi3(uint32_t n, uint32_t d) { return (uint32_t)__ratti_udivmod(n, d); }
uint32_t __umodsi3(uint32_t n, uint32_t d) { return (uint32_t)(__ratti_udivmod(n, d) >> 32); }
int32_t __divsi3(int32_t n, int32_t d) { return (int32_t)__ratti_divmod(n, d); }
int32_t __modsi3(int32_t n, int32_t d) { return (int32_t)(__ratti_divmod(n, d) >> 32); }
#endif

#ifdef __ARM_EABI__
/* The names of the Arm run-time ABI (IHI0043, section 4.2). */
uint64_t __aeabi_llsl(uint64_t value, int bits) ALIAS(__ashldi3);
uint64_t __aeabi_llsr(uint64_t value, int bits) ALIAS(__lshrdi3);
int64_t __aeabi_lasr(int64_t value, int bits) ALIAS(__ashrdi3);
#ifdef NO_DIVIDE
uint64_t __aeabi_uidivmod(uint32_t n, uint32_t d) ALIAS(__ratti_udivmod);
uint64_t __aeabi_uidiv(uint32_t n, uint32_t d) ALIAS(__ratti_udivmod);
uint64_t __aeabi_idivmod(int32_t n, int32_t d) ALIAS(__ratti_divmod);
uint64_t __aeabi_idiv(int32_t n, int32_t d) ALIAS(__ratti_divmod);
#endif
#endif

#if defined(__riscv) && !defined(__riscv_mul)
uint32_t __mulsi3(uint32_t a, uint32_t b);

/* 32 x 32 bits to 64 by shifts and adds, over the bits of the smaller factor. */
static uint64_t multiply_wide(uint32_t a, uint32_t b)
{
    if (a < b) {
        const uint32_t swap = a;
        a = b;
        b = swap;
    }
    uint32_t low = 0, high = 0, above = 0;
    for (; b; b >>= 1) {
        if (b & 1) {
            low += a;
            high += above + (low < a);
        }
        above = (above << 1) | (a >> 31);
        a <<= 1;
    }
    return (wide){.half = {low, high}}.all;
}

uint64_t __muldi3(uint64_t x, uint64_t y)
{
    const wide a = {x}, b = {y};
    wide p = {multiply_wide(a.half.low, b.half.low)};
    p.half.high += __mulsi3(a.half.low, b.half.high) + __mulsi3(a.half.high, b.half.low);
    return p.all;
}
#endif
